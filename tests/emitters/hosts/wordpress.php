<?php // What the plugin needs of WordPress and WooCommerce, behaving as their sources say.
$hooks = $filters = $scheduled = $orders = [];
function add_action($name, $call, $priority = 10) { $GLOBALS['hooks'][$name][$priority][] = $call; }
function add_filter($name, $call) { $GLOBALS['filters'][$name][] = $call; }
function do_action($name, ...$arguments)
{
    $by_priority = $GLOBALS['hooks'][$name] ?? [];
    ksort($by_priority);
    foreach ($by_priority as $calls) foreach ($calls as $call) $call(...array_slice($arguments, 0, 1)); // accepted_args is 1
}
function wp_next_scheduled($name) { return $GLOBALS['scheduled'][$name] ?? false; }
function wp_schedule_event($time, $recurrence, $name)
{
    $known = [];
    foreach ($GLOBALS['filters']['cron_schedules'] ?? [] as $call) $known = $call($known);
    if (isset($known[$recurrence])) $GLOBALS['scheduled'][$name] = $time;
}
function wc_get_order($id) { return isset($GLOBALS['orders'][$id]) ? new WC_Order($GLOBALS['orders'][$id]) : false; }
class WC_Product
{
    public function __construct(private $row) {}
    public function get_sku() { return $this->row->sku; }
    public function get_id() { return $this->row->id; }
}
class WC_Order_Item_Product
{
    public function __construct(private $row) {}
    public function get_product() { return new WC_Product($this->row); }
}
class WC_Order
{
    public function __construct(private $row) {}
    public function get_items() { return [7 => new WC_Order_Item_Product($this->row->item)]; } // by the item's id
    public function __call($name, $arguments)
    {
        $value = $this->row->{substr($name, 4)} ?? null;
        return str_starts_with($name, 'get_date_') && $value ? new DateTime($value) : $value;
    }
}

$said = json_decode(stream_get_contents(STDIN));
foreach ($said->constants as $name => $value) define($name, $value);
require getenv('DM_PLUGIN') . '/delivery-monitor.php';
do_action('init');
foreach ($said->steps as [$order, $hook, $more]) {
    $orders[$order->id] = $order;
    do_action($hook, $order->id, ...$more);
}
if ($said->is_rolled_back) $orders = [];
echo 'answered', @filesize(DELIVERY_MONITOR_SPOOL) ? ' with a spool' : '', "\n"; // what the buyer waits for
do_action('shutdown');
if ($said->is_drained) do_action('delivery_monitor_drain');
echo json_encode(array_keys($scheduled)), "\n";
