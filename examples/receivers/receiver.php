<?php // The shop's side of a takeover (see README.md). Needs PHP 8 with pdo_mysql.
$shop = json_decode(file_get_contents(getenv('DM_SHOP')), true);
$body = file_get_contents('php://input');
$route = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$head = fn ($name) => $_SERVER['HTTP_WEBHOOK_' . $name] ?? '';

function say($status, $said) {
    http_response_code($status);
    header('Content-Type: application/json');
    exit(json_encode($said));
}

$key = base64_decode(substr(getenv('DM_SECRET'), strlen('whsec_')));
$mac = 'v1,' . base64_encode(hash_hmac('sha256', $head('ID') . '.' . $head('TIMESTAMP') . '.' . $body, $key, true));
$good = array_filter(explode(' ', $head('SIGNATURE')), fn ($one) => hash_equals($mac, $one));
if (!$good || !ctype_digit($head('TIMESTAMP')) || abs(time() - (int) $head('TIMESTAMP')) > 300) say(401, ['status' => 'unsigned']);

$ask = ['kind' => ltrim($route, '/'), 'body' => $body] + json_decode($body, true) + ['claim_id' => null, 'fence' => null];
$db = json_decode(getenv('DM_DB'), true);
$link = new PDO("mysql:host={$db['host']};port={$db['port']};dbname={$db['database']};charset=utf8mb4", $db['user'], $db['password'],
    [PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC, PDO::MYSQL_ATTR_INIT_COMMAND => 'SET tx_isolation = "READ-COMMITTED"']);

$run = function ($sql, $ask) use ($link) { // the row, or how many rows the compare-and-set touched
    preg_match_all('/:([a-z_]+)/', $sql, $names);
    $done = $link->prepare($sql);
    $done->execute(array_intersect_key($ask, array_flip($names[1])));
    return str_starts_with($sql, 'SELECT') ? $done->fetch() : $done->rowCount();
};
$link->beginTransaction();
$order = $run($shop['order'], $ask) ?: ['paid' => 0, 'delivered' => 0, 'quantity' => 0, 'sku' => '', 'amount_minor' => 0];
$old = $run('SELECT *, expires_at < UTC_TIMESTAMP(3) AS over_ FROM dm_claim WHERE order_id = :order_id FOR UPDATE', $ask);
$live = $old && !$old['is_released']; // both rows stay locked until the commit, the order's first
$mine = $live && $old['claim_id'] === $ask['claim_id'] && $old['fence'] == $ask['fence'];
$end = function ($status, $said) use ($link) { $link->commit(); say($status, is_array($said) ? $said : ['status' => $said]); };
if ($route === '/claim') {
    $granted = ['status' => 'granted', 'paid' => true, 'sku' => (string) $order['sku'],
        'quantity' => (int) $order['quantity'], 'amount_minor' => (int) $order['amount_minor']];
    if ($mine || $order['delivered']) $end(200, $mine ? $granted : 'already_delivered'); // the same claim, the same answer
    [$stale, $inherits] = [$old && $ask['fence'] <= $old['fence'], $live && $old['over_'] && $order['held']];
    if ($stale || !$order['paid'] || $order['quantity'] < 1 || !($inherits || $run($shop['take'], $ask)))
        $end(200, ['status' => 'denied', 'paid' => (bool) $order['paid']]);
    $run('REPLACE dm_claim VALUES (:order_id, :claim_id, :fence, LEFT(:expires_at, 19), NULL, 0)', $ask);
    $end(200, $granted);
}
if ($route === '/deliver') {
    if ($mine && $old['takeover_id'] === $ask['takeover_id']) $end(200, 'delivered'); // a repeat
    if ($order['delivered']) $end(409, 'already_delivered');
    if (!$mine || !$run($shop['deliver'], ['goods' => implode("\n", $ask['goods'])] + $ask)) $end(403, 'refused');
    $run('UPDATE dm_claim SET takeover_id = :takeover_id WHERE order_id = :order_id', $ask);
    $end(200, 'delivered');
}
if ($route === '/release') {
    if ($mine && !$old['takeover_id'] && $run('UPDATE dm_claim SET is_released = 1 WHERE order_id = :order_id', $ask)) $run($shop['release'], $ask);
    $end(200, 'released');
}
if ($run('SELECT 1 FROM dm_action WHERE action_id = :action_id', $ask)) $end(200, 'done'); // a repeat
if ($route === '/refund' && $order['delivered']) $end(409, 'already_delivered');
if ($route === '/refund' && (($live && !$mine) || !$run($shop['refund'], $ask))) $end(403, 'refused');
$run('INSERT dm_action VALUES (:action_id, :order_id, :kind, :body, 0)', $ask);
$end(200, 'done');
