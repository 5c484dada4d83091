<?php // Does what standard input says with the emitter, and answers a line per step.
require dirname(__DIR__, 2) . '/examples/emitters/delivery_monitor.php';
$monitor = new DeliveryMonitor(json_decode(fgets(STDIN), true));
while (($line = fgets(STDIN)) !== false) {
    [$verb, $given] = json_decode($line, true);
    echo json_encode($monitor->$verb(...$given)), "\n";
}
