<?php
// Runs the steps of a file with the helper for PHP and prints their results.
declare(strict_types=1);
error_reporting(E_ALL);
set_error_handler(function (int $no, string $what, string $file, int $line): bool {
    if (error_reporting() & $no) {
        throw new ErrorException($what, 0, $no, $file, $line);
    }
    return false;
});
require $argv[1];

final class Used implements SallyportUsed
{
    private array $taken = [];

    public function claim(string $id, int $expires): bool
    {
        $first = !isset($this->taken[$id]);
        $this->taken[$id] = $expires;
        return $first;
    }
}

$used = new Used();
$kept = [];
$results = [];
foreach (json_decode(file_get_contents($argv[2]), true, 64, JSON_THROW_ON_ERROR) as $s) {
    try {
        $results[] = ['ok' => match ($s['do']) {
            'permit' => Sallyport::signPermit($s['site_key'], $s['given']),
            'voucher' => Sallyport::signVoucher($s['site_key'], $s['given']),
            'verify' => Sallyport::verifyReceipt($s['token'], $s['want'], $kept[$s['jwks']] ??= new SallyportKeySet($s['jwks'], $argv[3] ?? null), $used, $s['now'] ?? null),
            'claim' => Sallyport::claimReceipt($s['gate'], $s['site_key'], $s['token'], $s['want']),
        }];
    } catch (SallyportReceiptError $refused) {
        $results[] = ['error' => $refused->reason];
    } catch (Throwable $other) {
        $results[] = ['error' => $other->getMessage()];
    }
}
echo json_encode($results, JSON_THROW_ON_ERROR);
