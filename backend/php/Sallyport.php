<?php
// Sallyport.php: what a site's backend needs beside its site key. It signs permits and
// vouchers, and verifies or claims receipts. One file, PHP 8.1 or newer with sodium (part of
// PHP): copy it into your project or plug-in.
//
//   $permit = Sallyport::signPermit($siteKey, [
//       'site' => 'shop', 'connection' => 'payments', 'mode' => 'live', 'operation' => 'create-payment-intent',
//       'origin' => 'https://shop.example', 'session' => $visit, // from visit() in the page
//       'sealed' => ['amount' => 1900],
//   ]);
//
// Formats: docs/formats/permit.md and docs/formats/receipt.md; backend/vectors.json holds
// examples that every helper passes.

declare(strict_types=1);

/**
 * Why a receipt does not count; reason is malformed, key, signature, claims, site, connection,
 * mode, operation, session, expired, early, used or refused.
 */
final class SallyportReceiptError extends RuntimeException
{
    public function __construct(public readonly string $reason)
    {
        parent::__construct('the receipt does not hold: ' . $reason);
    }
}

/**
 * Remembers receipts. claim must be atomic over all processes of your backend, such as an
 * INSERT with a primary key in the transaction that fulfils the order, and give true if the
 * id was not there; rows may go after $expires, in Unix seconds.
 */
interface SallyportUsed
{
    public function claim(string $id, int $expires): bool;
}

final class Sallyport
{
    /** As a permit's session it lets every visit use the permit. Name the visit where you can. */
    public const ANY_SESSION = 'any';

    /**
     * Signs a permit with a site key (sallyport keys create SITE).
     *
     * $permit holds site, connection, mode, operation, origin, session, and may hold sealed
     * (values by parameter path, exactly those that the site's file seals), uses (1), life
     * (seconds, at most 900; 300), id (uses of one id are counted together; random) and now
     * (Unix seconds; the clock).
     */
    public static function signPermit(string $siteKey, array $permit): string
    {
        $names = ['site', 'connection', 'mode', 'operation', 'origin', 'session'];
        self::need('permit', $permit, $names);
        [$from, $to] = self::times($permit);
        $claims = ['jti' => $permit['id'] ?? self::random()];
        foreach ($names as $name) {
            $claims[$name] = $permit[$name];
        }
        $claims['sealed'] = (object) ($permit['sealed'] ?? []);
        $claims['uses'] = $permit['uses'] ?? 1;
        $claims['nbf'] = $from;
        $claims['exp'] = $to;
        return self::sign('sallyport-permit+jwt', $siteKey, $claims);
    }

    /**
     * Signs a voucher, which says that your backend knows the visitor; the key must be for all
     * connections. $voucher holds site and session, and may hold life, id and now.
     */
    public static function signVoucher(string $siteKey, array $voucher): string
    {
        self::need('voucher', $voucher, ['site', 'session']);
        return self::sign('sallyport-voucher+jwt', $siteKey, ['jti' => $voucher['id'] ?? self::random(),
            'site' => $voucher['site'], 'session' => $voucher['session'], 'exp' => self::times($voucher)[1]]);
    }

    /**
     * Verifies a receipt offline, with the gate's key set, uses it up, and gives its claims.
     * $want holds the site, connection, mode and operation that it must be about, and may hold
     * the session.
     *
     * @throws SallyportReceiptError
     */
    public static function verifyReceipt(string $token, array $want, SallyportKeySet $keys, SallyportUsed $used, ?int $now = null): array
    {
        $now ??= time();
        $parts = strlen($token) <= 4096 ? explode('.', $token) : [];
        if (count($parts) !== 3) {
            throw new SallyportReceiptError('malformed');
        }
        [$head, $payload, $signature] = array_map(self::unb64(...), $parts);
        $header = self::object($head, 'malformed');
        if (count($header) !== 3 || ($header['alg'] ?? null) !== 'EdDSA' || ($header['typ'] ?? null) !== 'sallyport-receipt+jwt'
            || !is_string($header['kid'] ?? null)) {
            throw new SallyportReceiptError('malformed');
        }
        $key = $keys->find($header['kid']);
        if (strlen($signature) !== SODIUM_CRYPTO_SIGN_BYTES || !sodium_crypto_sign_verify_detached($signature, $parts[0] . '.' . $parts[1], $key)) {
            throw new SallyportReceiptError('signature');
        }
        $receipt = self::checked(self::object($payload, 'claims'));
        if ($now >= $receipt['exp']) {
            throw new SallyportReceiptError('expired');
        }
        if ($receipt['iat'] > $now + 60) {
            throw new SallyportReceiptError('early');
        }
        self::expect($receipt, $want);
        if (!$used->claim($receipt['jti'], $receipt['exp'])) {
            throw new SallyportReceiptError('used');
        }
        return $receipt;
    }

    /**
     * Has the gate verify a receipt and use it up: no key set and no memory of your own are
     * needed. $gate is the site's address, such as https://api.shop.example. If the answer is
     * lost on the way, the receipt is used up: then look the order up at the provider.
     */
    public static function claimReceipt(string $gate, string $siteKey, string $token, array $want): array
    {
        [$status, , $body] = self::ask('POST', rtrim($gate, '/') . '/receipts', ["Authorization: Bearer $siteKey", 'Content-Type: application/json'],
            self::json(['receipt' => $token]));
        if ($status === 409 || $status === 403) {
            throw new SallyportReceiptError($status === 409 ? 'used' : 'refused');
        }
        if ($status !== 200) {
            throw new RuntimeException("claim receipt: the gate answered with status $status");
        }
        $receipt = self::checked(self::object($body, 'claims'));
        self::expect($receipt, $want);
        return $receipt;
    }

    /** One request, without redirects: a site key goes where it was sent to, or nowhere. Gives status, headers, body. */
    public static function ask(string $method, string $url, array $headers = [], string $body = ''): array
    {
        $context = stream_context_create(['http' => ['method' => $method, 'header' => $headers, 'content' => $body, 'timeout' => 10,
            'follow_location' => 0, 'ignore_errors' => true, 'protocol_version' => 1.1]]);
        $answer = @file_get_contents($url, false, $context, 0, 1 << 20);
        $lines = function_exists('http_get_last_response_headers') ? http_get_last_response_headers() : ($http_response_header ?? null);
        if ($answer === false || !$lines || !preg_match('~^HTTP/\S+ ([0-9]{3})~', $lines[0], $m)) {
            throw new RuntimeException('the gate could not be reached');
        }
        return [(int) $m[1], $lines, $answer];
    }

    private static function need(string $what, array $given, array $names): void
    {
        foreach ($names as $name) {
            if (!is_string($given[$name] ?? null) || $given[$name] === '') {
                throw new InvalidArgumentException("a $what needs $name, a text");
            }
        }
    }

    private static function times(array $given): array
    {
        $now = $given['now'] ?? time();
        $life = $given['life'] ?? 300;
        if (!is_int($life) || $life < 1 || $life > 900) {
            throw new InvalidArgumentException('life is whole seconds from 1 to 900');
        }
        return [$now, $now + $life];
    }

    private static function sign(string $typ, string $siteKey, array $claims): string
    {
        if (strlen($siteKey) < 8) {
            throw new InvalidArgumentException('the site key is missing');
        }
        $seed = hash_hkdf('sha256', $siteKey, SODIUM_CRYPTO_SIGN_SEEDBYTES, 'sallyport/v1/site-key/permit');
        $pair = sodium_crypto_sign_seed_keypair($seed);
        $kid = self::b64(sodium_crypto_sign_publickey($pair));
        $signed = self::b64(self::json(['alg' => 'EdDSA', 'typ' => $typ, 'kid' => $kid])) . '.' . self::b64(self::json($claims));
        $token = $signed . '.' . self::b64(sodium_crypto_sign_detached($signed, sodium_crypto_sign_secretkey($pair)));
        if (strlen($token) > 4096) {
            throw new InvalidArgumentException('the token has ' . strlen($token) . ' bytes, more than the 4096 that the gate reads: seal less');
        }
        return $token;
    }

    private static function json(array $value): string
    {
        return json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
    }

    private static function random(): string
    {
        return self::b64(random_bytes(16));
    }

    private static function b64(string $raw): string
    {
        return sodium_bin2base64($raw, SODIUM_BASE64_VARIANT_URLSAFE_NO_PADDING);
    }

    private static function unb64(string $part): string
    {
        try {
            $raw = sodium_base642bin($part, SODIUM_BASE64_VARIANT_URLSAFE_NO_PADDING);
        } catch (SodiumException) {
            throw new SallyportReceiptError('malformed');
        }
        if ($raw === '' || self::b64($raw) !== $part) {
            throw new SallyportReceiptError('malformed');
        }
        return $raw;
    }

    private static function object(string $raw, string $reason): array
    {
        $value = json_decode($raw, true, 32);
        if (!is_array($value) || ($value !== [] && array_is_list($value)) || !str_starts_with(ltrim($raw), '{')) {
            throw new SallyportReceiptError($reason);
        }
        return $value;
    }

    private static function checked(array $r): array
    {
        $times = is_int($r['iat'] ?? null) && is_int($r['exp'] ?? null) && $r['iat'] > 0 && $r['exp'] > $r['iat'] && $r['exp'] - $r['iat'] <= 300;
        $jti = $r['jti'] ?? null;
        if (($r['iss'] ?? null) !== 'sallyport' || !is_string($jti) || $jti === '' || !$times || !is_array($r['fields'] ?? null)) {
            throw new SallyportReceiptError('claims');
        }
        return $r;
    }

    private static function expect(array $receipt, array $want): void
    {
        self::need('receipt to expect', $want, ['site', 'connection', 'mode', 'operation']);
        foreach (['site' => 'aud', 'connection' => 'connection', 'mode' => 'mode', 'operation' => 'operation'] as $reason => $claim) {
            if (($receipt[$claim] ?? null) !== $want[$reason]) {
                throw new SallyportReceiptError($reason);
            }
        }
        if (isset($want['session']) && ($receipt['session'] ?? null) !== $want['session']) {
            throw new SallyportReceiptError('session');
        }
    }
}

/**
 * The gate's key set, https://GATE/.well-known/jwks.json, kept as long as the gate says. PHP
 * forgets everything between requests, so name a file of your own to keep it in: one that
 * only your backend can write, because whoever writes it decides what counts as paid.
 */
final class SallyportKeySet
{
    private array $state = ['keys' => [], 'until' => 0, 'asked' => 0];

    public function __construct(private readonly string $url, private readonly ?string $file = null)
    {
        $kept = $file !== null && is_file($file) ? json_decode((string) file_get_contents($file), true) : null;
        if (is_array($kept) && is_array($kept['keys'] ?? null) && is_int($kept['until'] ?? null) && is_int($kept['asked'] ?? null)) {
            $this->state = $kept;
        }
    }

    /** Reads the set again when it is too old, and for an unknown key at most once a minute. */
    public function find(string $kid): string
    {
        $now = time();
        if ($now > $this->state['until'] || (!isset($this->state['keys'][$kid]) && $now - $this->state['asked'] >= 60)) {
            $this->read($now);
        }
        $key = isset($this->state['keys'][$kid]) ? base64_decode(strtr($this->state['keys'][$kid], '-_', '+/'), true) : '';
        if (!is_string($key) || strlen($key) !== SODIUM_CRYPTO_SIGN_PUBLICKEYBYTES) {
            throw new SallyportReceiptError('key');
        }
        return $key;
    }

    private function read(int $now): void
    {
        [$status, $lines, $body] = Sallyport::ask('GET', $this->url);
        $set = json_decode($body, true);
        if ($status !== 200 || !is_array($set['keys'] ?? null)) {
            throw new RuntimeException("read the gate's key set: it was answered with status $status, or is no key set");
        }
        $keys = [];
        foreach ($set['keys'] as $k) {
            if (($k['kty'] ?? null) === 'OKP' && ($k['crv'] ?? null) === 'Ed25519') {
                $keys[$k['kid']] = $k['x'];
            }
        }
        $age = preg_match('/^cache-control:.*max-age=([0-9]{1,6})/mi', implode("\n", $lines), $m) ? (int) $m[1] : 60;
        $this->state = ['keys' => $keys, 'until' => $now + $age, 'asked' => $now];
        if ($this->file !== null) {
            $temporary = $this->file . '.' . bin2hex(random_bytes(6));
            file_put_contents($temporary, json_encode($this->state), LOCK_EX);
            rename($temporary, $this->file);
        }
    }
}
