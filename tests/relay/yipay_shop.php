<?php
// The check that a shop makes of a callback of 易支付: sorted fields, joined, the key behind them, MD5.
$fields = $_GET;
ksort($fields);
$text = '';
foreach ($fields as $name => $value) {
    if ($value === '' || $name === 'sign' || $name === 'sign_type') {
        continue;
    }
    $text .= ($text === '' ? '' : '&') . $name . '=' . $value;
}
$is_good = md5($text . getenv('YIPAY_KEY')) === ($_GET['sign'] ?? '');
echo $is_good ? 'success' : 'fail';
