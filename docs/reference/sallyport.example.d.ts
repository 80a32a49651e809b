// What pages of the site "shop" may do through client.js, from sallyport.yaml. The gate refuses all else.
// Made by `sallyport types shop`, sallyport v1.0.0; do not edit. Make it again when sallyport.yaml changes.

declare module "sallyport/shop" {
  /** What a page may call: connections, and in each the operations. */
  export interface Connections {
    /** Google Maps Platform. */
    maps: {
      /**
       * Complete what a visitor types into a search for places. Reads or writes personal data.
       * @see https://developers.google.com/maps/documentation/places/web-service/place-autocomplete
       */
      "autocomplete-places": { arguments: [params: MapsAutocompletePlacesParams, options?: CallOptions]; result: MapsAutocompletePlacesResult };
    };
    /** Stripe. */
    payments: {
      /**
       * Create a payment intent. Moves or promises money.
       * @see https://docs.stripe.com/api/payment_intents/create
       */
      "create-payment-intent": { arguments: [params: PaymentsCreatePaymentIntentParams, options?: CallOptions]; result: PaymentsCreatePaymentIntentResult };
    };
    /** Twilio. */
    sms: {
      /**
       * Send a one-time code. Moves or promises money. Sends something to a person. Reads or writes personal
       * data.
       * @see https://www.twilio.com/docs/verify/api/verification
       */
      "create-verification": { arguments: [params: SmsCreateVerificationParams, options?: CallOptions]; result: SmsCreateVerificationResult };
    };
  }
  /** What stands under public: in the file. */
  export interface PublicValues {
    maps: {};
    payments: { publishable_key: string; };
    sms: {};
  }
  export type Connection = "maps" | "payments" | "sms";

  /** The arguments of call after the names of connection and operation. */
  type Arguments<C extends Connection, O extends Operation<C>> = Connections[C][O] extends { arguments: infer A extends unknown[] } ? A : never;
  /** The operations of a connection. */
  export type Operation<C extends Connection> = keyof Connections[C];
  /** What call takes for an operation: Params<"payments", "create-payment-intent">. */
  export type Params<C extends Connection, O extends Operation<C>> = NonNullable<Arguments<C, O>[0]>;
  /** What call answers with for an operation; null where nothing comes back. */
  export type Result<C extends Connection, O extends Operation<C>> = Connections[C][O] extends { result: infer R } ? R : never;

  export interface CallOptions {
    /** Ends the call. */
    signal?: AbortSignal;
    /** A key of your own, with which the very same call can be repeated and is made at most once. */
    idempotencyKey?: string;
    /** What the site's backend signed for this call; it is required where parameters are sealed. */
    permit?: string;
  }

  /** The options of an operation with sealed parameters. */
  export interface PermitOptions extends CallOptions {
    permit: string;
  }

  /** Calls one operation and gives its reduced answer; throws a Problem. */
  export function call<C extends Connection, O extends Operation<C>>(connection: C, operation: O, ...rest: Arguments<C, O>): Promise<Result<C, O>>;
  /** The operations that a page may call on this site. */
  export function operations(): { [C in Connection]: Operation<C>[] };
  /** Public values of a connection, such as a publishable key. */
  export function publicValues<C extends Connection>(connection: C): PublicValues[C];
  /** The price lists that this site's operations take orders from, by name. */
  export function prices(): Record<string, PriceList>;
  /** The id of this visit, which the site's backend writes into a permit. */
  export function visit(): Promise<string>;
  /** The receipt that came with an answer of call, for the site's backend; undefined where none came. */
  export function receiptOf(answer: unknown): string | undefined;
  /** Registers how to get a voucher of the site's backend for a visit; null where it knows nobody. */
  export function onVoucher(ask: ((visit: string) => Promise<string | null>) | null): void;
  /** Registers how to get a token of the site's bot check, where its file names one. */
  export function onChallenge(ask: ((task: { connection: string; action?: string; public: Readonly<Record<string, string>> }) => Promise<string>) | null): void;
  /** Completes what a visitor types, through an operation such as autocomplete-places. */
  export function autocomplete<C extends Connection, O extends Operation<C>>(connection: C, operation: O, options?: AutocompleteOptions<C, O>): Autocomplete<Result<C, O>>;
  export interface AutocompleteOptions<C extends Connection, O extends Operation<C>> {
    /** Further parameters of each call. */
    params?: Partial<Params<C, O>>;
    /** Milliseconds to wait for the next key; 250. */
    delay?: number;
  }
  export interface Autocomplete<R> {
    /** The answer; null where too little was typed, or the next key came first. */
    complete(text: string): Promise<R | null>;
    /** Forgets what was typed last. */
    cancel(): void;
  }
  /** The connections that visitors can sign in with on this page; none on a preview of the site. */
  export function logins(): string[];
  /** Sends the visitor to sign in; the page is left. */
  export function login(connection: string, options?: { returnTo?: string }): void;
  /** How the sign-in that led to this page ended: "ok", a problem code, or "" where none did. */
  export function loginResult(): string;
  /** Who is signed in; null: nobody. */
  export function me(): Promise<Visitor | null>;
  /** Signs the visitor out. */
  export function logout(): Promise<void>;
  /** Sends the signed-in visitor to connect an account; the page is left. */
  export function connect(connection: string, options?: { returnTo?: string }): Promise<void>;
  /** How the connecting that led to this page ended: "ok", a problem code, or "". */
  export function connectResult(): string;
  /** The accounts of the signed-in visitor. */
  export function connections(): Promise<ConnectedAccount[]>;
  /** Forgets an account and ends its grant; revoked says whether the provider was told. */
  export function disconnect(connection: string): Promise<{ was_connected: boolean; revoked: boolean }>;
  /** An account that a visitor can connect. */
  export interface ConnectedAccount {
    connection: string;
    /** reconnect: the provider does not take the grant any more. */
    status: "connected" | "reconnect" | "none";
    /** What the provider says that was allowed. */
    scopes?: string[];
    /** When it was connected (RFC 3339). */
    since?: string;
  }

  /** Who is signed in, as this site may know it. */
  export interface Visitor {
    /** This site's own name for the person: the same at each sign-in, and of no use at another site. */
    subject: string;
    connection: string;
    /** What the site's file declares, where the identity provider gave it. */
    claims: Record<string, string>;
    /** Seconds until the sign-in ends. */
    expires_in: number;
    /** Signed by the gate, for the site's backend. */
    statement: string;
  }

  /** Ends the visit's session now. It does not sign out. */
  export function end(): Promise<void>;

  /** What the gate charges; amounts in the currency's minor unit. */
  export interface PriceList {
    currency: string;
    /** How many of an amount's digits stand behind the point: 1900 with 2 is 19.00. */
    decimals: number;
    items: Record<string, { amount: number; max: number; title: Record<string, string> }>;
    shipping: { flat: number; free_from?: number };
    order: { items: number; min?: number; max?: number };
  }

  /** What is known about the provider's side of a call; "" when nothing was sent to the provider. */
  export type Outcome = "" | "performed" | "not_performed" | "unknown";

  /** One refused parameter. */
  export interface Fault {
    /** Its path, such as line_items[0].quantity. */
    where: string;
    /** The same place as a JSON pointer (RFC 6901). */
    pointer?: string;
    found?: string;
    want?: string;
    /** The nearest name, where a name was unknown. */
    near?: string;
  }

  /** What the gate or the provider refused. */
  export class Problem extends Error {
    constructor(document: { code?: ProblemCode; status?: number; detail?: string }, response?: Response);
    readonly name: "Problem";
    /** HTTP status; 0 when the gate could not be reached. */
    readonly status: number;
    /** Branch on this. */
    readonly code: ProblemCode;
    readonly hint: string;
    /** Under this the gate's log has the call. */
    readonly requestId: string;
    readonly outcome: Outcome;
    readonly faults: readonly Fault[];
    /** Seconds to wait before another try; 0 when the gate named none. */
    readonly retryAfter: number;
    /** The provider's own code, where the catalog says that visitors may see it. */
    readonly providerCode: string;
    /** Of guard_refused: the guard, such as messages; else "". */
    readonly guard: string;
    /** Of guard_refused: whether another value or a later hour helps. */
    readonly reason: "" | "destination" | "input" | "too_many";
    /** The key to repeat this very call with; "" where there is none. */
    readonly idempotencyKey: string;
    /** What has to be solved before the call; call() does so by itself. null where there is nothing. */
    readonly challenge: object | null;
    readonly challengeFor: "" | "visit" | "call";
  }

  /** The stable codes; docs/reference/problems.md says what to do about each. */
  export type ProblemCode =
    "audit_unavailable" | "bad_body" | "bad_framing" | "bad_header" | "bad_host" | "bad_query" |
    "bad_target" | "body_too_large" | "budget_exhausted" | "challenge_refused" | "challenge_required" |
    "client_address_missing" | "connect_refused" | "connect_required" | "connect_state" |
    "connect_upstream" | "contract_too_complex" | "contract_violation" | "credential_refused" |
    "credential_unavailable" | "egress_denied" | "event_refused" | "expectation_failed" | "frozen" |
    "guard_refused" | "headers_too_large" | "http_version" | "https_required" | "idempotency_conflict" |
    "idempotency_in_progress" | "idempotency_unknown" | "internal" | "login_refused" | "login_required" |
    "login_state" | "login_upstream" | "method_not_allowed" | "not_found" | "not_owned" |
    "operation_refused" | "order_refused" | "origin_refused" | "overloaded" | "parameter_refused" |
    "permit_refused" | "permit_required" | "permit_spent" | "provider_failed" | "provider_refused" |
    "rate_limited" | "receipt_refused" | "receipt_used" | "reconnect_required" | "request_timeout" |
    "return_refused" | "shutting_down" | "store_unavailable" | "tunnel_refused" | "unauthenticated" |
    "unknown_connection" | "unknown_host" | "unknown_operation" | "unreachable" | "unreadable" |
    "unsupported_media_type" | "upstream_contract" | "upstream_echo" | "upstream_malformed" |
    "upstream_redirect" | "upstream_throttled" | "upstream_timeout" | "upstream_tls" |
    "upstream_too_large" | "upstream_unavailable" | "upstream_unreachable" | "uri_too_long" |
    "voucher_refused" | "voucher_required";

  export interface MapsAutocompletePlacesParams {
    /** What was typed so far. 1 to 300 characters. Personal data. */
    input: string;
  }
  export interface MapsAutocompletePlacesResult {
    suggestions?: { placePrediction?: { placeId?: string; text?: { text?: string; }; }; }[];
  }

  export interface PaymentsCreatePaymentIntentParams {
    /** A whole number from 500 to 500000. */
    amount: number;
    /** At most 512 characters. Personal data. */
    receipt_email?: string;
    statement_descriptor_suffix?: "SHOP" | "GIFTS";
  }
  export interface PaymentsCreatePaymentIntentResult {
    id: string;
    amount?: number;
    /** Secret: it gives power, so keep it out of logs and addresses. */
    client_secret?: string | null;
    currency?: string;
    status?: string;
  }

  export interface SmsCreateVerificationParams {
    /**
     * The number in E.164 form, or the e-mail address for channel email. At most 256 characters. Matches
     * `^(?:\+[1-9][0-9]{4,14}|[^\s@]{1,64}@[^\s@]{1,190}|whatsapp:\+[1-9][0-9]{4,14})$`. Personal data.
     */
    To: string;
  }
  export interface SmsCreateVerificationResult {
    /** pending, approved, canceled, max_attempts_reached, deleted, failed or expired. */
    status?: string | null;
  }
}

declare module "https://api.shop.example/client.js" {
  export * from "sallyport/shop";
}

declare module "*://api.shop.example:8443/client.js" {
  export * from "sallyport/shop";
}
