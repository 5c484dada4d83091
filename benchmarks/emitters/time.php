<?php // How long each emit takes, in ms; a command sends within it, so sending is part of it.
require dirname(__DIR__, 2) . '/examples/emitters/delivery_monitor.php';
$monitor = new DeliveryMonitor(json_decode($argv[1], true));
$took = [];
for ($number = 0; $number < (int) $argv[2]; $number++) {
    $began = hrtime(true);
    $monitor->emit('order.paid', "php $number", ['channel' => 'auto', 'amount_minor' => 990]);
    $took[] = (hrtime(true) - $began) / 1e6;
    usleep(2000);
}
echo json_encode($took);
