package problem

import "net/http"

// Code names a problem. Codes are stable: a client may branch on them. Every
// code stands in docs/reference/problems.md, which a test checks.
type Code string

// The codes, by the stage that makes them.
const (
	Internal Code = "internal"

	// The strict front (docs/reference/problems.md says what each looks at).
	BadFraming       Code = "bad_framing"
	BadTarget        Code = "bad_target"
	BadHost          Code = "bad_host"
	BadHeader        Code = "bad_header"
	BadQuery         Code = "bad_query"
	BadBody          Code = "bad_body"
	UnknownHost      Code = "unknown_host"
	MethodNotAllowed Code = "method_not_allowed"
	RequestTimeout   Code = "request_timeout"
	BodyTooLarge     Code = "body_too_large"
	URITooLong       Code = "uri_too_long"
	HeadersTooLarge  Code = "headers_too_large"
	MediaType        Code = "unsupported_media_type"
	Expectation      Code = "expectation_failed"
	HTTPVersion      Code = "http_version"
	ClientAddress    Code = "client_address_missing"
	HTTPSRequired    Code = "https_required"
	TunnelRefused    Code = "tunnel_refused"

	// Routing and the caller.
	NotFound          Code = "not_found"
	UnknownConnection Code = "unknown_connection"
	UnknownOperation  Code = "unknown_operation"
	OriginRefused     Code = "origin_refused"
	Unauthenticated   Code = "unauthenticated"
	OperationRefused  Code = "operation_refused"
	Frozen            Code = "frozen"
	RateLimited       Code = "rate_limited"
	GuardRefused      Code = "guard_refused"

	// Who speaks for the visit.
	ChallengeRequired Code = "challenge_required"
	ChallengeRefused  Code = "challenge_refused"
	VoucherRequired   Code = "voucher_required"
	VoucherRefused    Code = "voucher_refused"

	// Signing in.
	LoginRequired Code = "login_required"
	LoginRefused  Code = "login_refused"
	LoginState    Code = "login_state"
	LoginUpstream Code = "login_upstream"

	// EventRefused: a provider's event was not verified, or its address has no such hook.
	EventRefused Code = "event_refused"

	ConnectRequired   Code = "connect_required"
	ReconnectRequired Code = "reconnect_required"
	ConnectRefused    Code = "connect_refused"
	ConnectState      Code = "connect_state"
	ConnectUpstream   Code = "connect_upstream"
	ReturnRefused     Code = "return_refused"

	// What the caller sent.
	ParameterRefused    Code = "parameter_refused"
	NotOwned            Code = "not_owned"
	PermitRequired      Code = "permit_required"
	PermitRefused       Code = "permit_refused"
	PermitSpent         Code = "permit_spent"
	ReceiptRefused      Code = "receipt_refused"
	ReceiptUsed         Code = "receipt_used"
	ContractViolation   Code = "contract_violation"
	ContractTooComplex  Code = "contract_too_complex"
	IdempotencyConflict Code = "idempotency_conflict"
	IdempotencyUnknown  Code = "idempotency_unknown"
	IdempotencyBusy     Code = "idempotency_in_progress"
	OrderRefused        Code = "order_refused"
	BudgetExhausted     Code = "budget_exhausted"

	// The gate's own means.
	AuditUnavailable      Code = "audit_unavailable"
	StoreUnavailable      Code = "store_unavailable"
	CredentialUnavailable Code = "credential_unavailable"
	CredentialRefused     Code = "credential_refused"
	Overloaded            Code = "overloaded"
	ShuttingDown          Code = "shutting_down"

	// The provider.
	EgressDenied        Code = "egress_denied"
	UpstreamUnreachable Code = "upstream_unreachable"
	UpstreamTLS         Code = "upstream_tls"
	UpstreamTimeout     Code = "upstream_timeout"
	UpstreamRedirect    Code = "upstream_redirect"
	UpstreamMalformed   Code = "upstream_malformed"
	UpstreamTooLarge    Code = "upstream_too_large"
	UpstreamContract    Code = "upstream_contract"
	UpstreamEcho        Code = "upstream_echo"
	UpstreamUnavailable Code = "upstream_unavailable"
	UpstreamThrottled   Code = "upstream_throttled"
	ProviderRefused     Code = "provider_refused"
	ProviderFailed      Code = "provider_failed"
)

// Info is what a code means on the wire.
type Info struct {
	Code   Code
	Status int
	Title  string
}

// Codes lists every code in documentation order. The result is the caller's.
func Codes() []Info {
	return []Info{
		{Internal, http.StatusInternalServerError, "Internal error"},
		{BadFraming, http.StatusBadRequest, "Ambiguous message framing"},
		{BadTarget, http.StatusBadRequest, "Request target refused"},
		{BadHost, http.StatusBadRequest, "Host refused"},
		{BadHeader, http.StatusBadRequest, "Header refused"},
		{BadQuery, http.StatusBadRequest, "Query string refused"},
		{BadBody, http.StatusBadRequest, "Body refused"},
		{UnknownHost, http.StatusMisdirectedRequest, "This gate does not serve that host"},
		{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed"},
		{RequestTimeout, http.StatusRequestTimeout, "The request took too long to arrive"},
		{BodyTooLarge, http.StatusRequestEntityTooLarge, "Body too large"},
		{URITooLong, http.StatusRequestURITooLong, "Request target too long"},
		{HeadersTooLarge, http.StatusRequestHeaderFieldsTooLarge, "Too many or too large header fields"},
		{MediaType, http.StatusUnsupportedMediaType, "Media type not accepted here"},
		{Expectation, http.StatusExpectationFailed, "Expectation not supported"},
		{HTTPVersion, http.StatusHTTPVersionNotSupported, "HTTP version not supported"},
		{ClientAddress, http.StatusBadRequest, "The named proxy did not say who the client is"},
		{HTTPSRequired, http.StatusForbidden, "This is served over https only"},
		{TunnelRefused, http.StatusForbidden, "The SDK port does not answer for that address"},
		{NotFound, http.StatusNotFound, "Nothing is served here"},
		{UnknownConnection, http.StatusNotFound, "No such connection"},
		{UnknownOperation, http.StatusNotFound, "No such operation"},
		{OriginRefused, http.StatusForbidden, "Origin not allowed"},
		{Unauthenticated, http.StatusUnauthorized, "Not authenticated"},
		{OperationRefused, http.StatusForbidden, "Operation not allowed for this caller"},
		{Frozen, http.StatusServiceUnavailable, "Calls are frozen"},
		{RateLimited, http.StatusTooManyRequests, "Too many requests"},
		{GuardRefused, http.StatusForbidden, "A guard against abuse refused the call"},
		{ChallengeRequired, http.StatusForbidden, "A challenge has to be solved first"},
		{ChallengeRefused, http.StatusForbidden, "The answer to the challenge does not count"},
		{VoucherRequired, http.StatusForbidden, "The site's backend has to vouch for this visit"},
		{VoucherRefused, http.StatusForbidden, "The voucher does not count"},
		{LoginRequired, http.StatusForbidden, "The visitor has to sign in first"},
		{LoginRefused, http.StatusForbidden, "The sign-in was declined or does not count"},
		{LoginState, http.StatusBadRequest, "This browser did not begin that sign-in"},
		{LoginUpstream, http.StatusBadGateway, "The identity provider's answer does not count"},
		{EventRefused, http.StatusUnauthorized, "The event is not accepted"},
		{ConnectRequired, http.StatusForbidden, "The visitor has to connect an account first"},
		{ReconnectRequired, http.StatusForbidden, "The visitor has to connect the account again"},
		{ConnectRefused, http.StatusForbidden, "The account was not connected: the visitor or the provider declined"},
		{ConnectState, http.StatusBadRequest, "This browser did not begin to connect that account"},
		{ConnectUpstream, http.StatusBadGateway, "The provider's answer does not count"},
		{ReturnRefused, http.StatusBadRequest, "The address to return to is not the site's"},
		{ParameterRefused, http.StatusUnprocessableEntity, "Parameter not allowed from this caller"},
		{NotOwned, http.StatusForbidden, "This visit did not receive that object"},
		{PermitRequired, http.StatusForbidden, "A permit of the site's backend is required"},
		{PermitRefused, http.StatusForbidden, "The permit does not hold here"},
		{PermitSpent, http.StatusConflict, "The permit is used up"},
		{ReceiptRefused, http.StatusForbidden, "The receipt does not hold here"},
		{ReceiptUsed, http.StatusConflict, "The receipt was claimed before"},
		{ContractViolation, http.StatusUnprocessableEntity, "The request breaks the contract"},
		{ContractTooComplex, http.StatusUnprocessableEntity, "The request takes too much work to check"},
		{IdempotencyConflict, http.StatusConflict, "Idempotency key used with other parameters"},
		{IdempotencyUnknown, http.StatusConflict, "The outcome of an earlier attempt is unknown"},
		{IdempotencyBusy, http.StatusConflict, "The same call is still in progress"},
		{OrderRefused, http.StatusUnprocessableEntity, "The order cannot be priced"},
		{BudgetExhausted, http.StatusTooManyRequests, "A budget is spent"},
		{AuditUnavailable, http.StatusServiceUnavailable, "The audit log cannot be written"},
		{StoreUnavailable, http.StatusServiceUnavailable, "The store cannot be reached"},
		{CredentialUnavailable, http.StatusServiceUnavailable, "The provider's credential is not available"},
		{CredentialRefused, http.StatusBadGateway, "The provider refused the gate's credential"},
		{Overloaded, http.StatusServiceUnavailable, "Too many calls in progress"},
		{ShuttingDown, http.StatusServiceUnavailable, "The gate is shutting down"},
		{EgressDenied, http.StatusBadGateway, "The provider's address is not allowed"},
		{UpstreamUnreachable, http.StatusBadGateway, "The provider cannot be reached"},
		{UpstreamTLS, http.StatusBadGateway, "The provider's certificate is not valid"},
		{UpstreamTimeout, http.StatusGatewayTimeout, "The provider did not answer in time"},
		{UpstreamRedirect, http.StatusBadGateway, "The provider answered with a redirect"},
		{UpstreamMalformed, http.StatusBadGateway, "The provider's answer is malformed"},
		{UpstreamTooLarge, http.StatusBadGateway, "The provider's answer is too large"},
		{UpstreamContract, http.StatusBadGateway, "The provider's answer breaks the contract"},
		{UpstreamEcho, http.StatusBadGateway, "The provider's answer holds a credential"},
		{UpstreamUnavailable, http.StatusServiceUnavailable, "The provider is failing; calls are held back"},
		{UpstreamThrottled, http.StatusTooManyRequests, "The provider's limit is reached"},
		{ProviderRefused, http.StatusBadRequest, "The provider refused the call"},
		{ProviderFailed, http.StatusBadGateway, "The provider failed"},
	}
}

// Lookup finds what a code means. An unknown code is Internal: fail closed.
func Lookup(code Code) Info {
	all := Codes()
	for _, info := range all {
		if info.Code == code {
			return info
		}
	}
	return all[0]
}
