<?php
/**
 * Plugin Name: Delivery Monitor
 * Description: Tells Delivery Monitor what WooCommerce knows of an order, once a request is over.
 *
 * Copy this file and ../delivery_monitor.php to wp-content/mu-plugins, and add to wp-config.php:
 *     define('DELIVERY_MONITOR_URL', 'http://127.0.0.1:8080');
 *     define('DELIVERY_MONITOR_KEY', 'dm_…');              // or DELIVERY_MONITOR_SECRET, 'whsec_…'
 *     define('DELIVERY_MONITOR_SPOOL', '/var/spool/shop/woocommerce.ndjson');   // outside the web root
 *
 * A hook only remembers the order. At the end of the request, when the buyer has the answer and what was rolled
 * back is gone, the order is read again and what it says of itself is spooled. The ids are those of its webhooks,
 * so both together, and a fact told ten times, are one event. No name, address or download leaves the shop.
 */
require_once __DIR__ . '/delivery_monitor.php';

class DeliveryMonitorWooCommerce
{
    const WITHOUT_DECIMALS = ['CLP', 'ISK', 'JPY', 'KRW', 'PYG', 'UGX', 'VND', 'XAF', 'XOF'];
    private $monitor;
    private $orders = [];

    public function __construct(DeliveryMonitor $monitor)
    {
        $this->monitor = $monitor;
        foreach (['woocommerce_new_order', 'woocommerce_order_status_changed', 'woocommerce_payment_complete'] as $hook) {
            add_action($hook, function ($orderId) { $this->orders[(int) $orderId] = true; });
        }
        add_action('shutdown', [$this, 'tell'], PHP_INT_MAX);
        add_filter('cron_schedules', function ($known) {
            return $known + ['delivery_monitor' => ['interval' => 60, 'display' => 'Delivery Monitor']];
        });
        add_action('delivery_monitor_drain', [$this->monitor, 'flush']);
        add_action('init', function () {
            if (!wp_next_scheduled('delivery_monitor_drain')) wp_schedule_event(time(), 'delivery_monitor', 'delivery_monitor_drain');
        });
    }

    /** Spools what the orders of this request say now; the emitter sends it. */
    public function tell(): void
    {
        if ($this->orders && function_exists('fastcgi_finish_request')) fastcgi_finish_request();
        foreach (array_keys($this->orders) as $orderId) {
            $order = wc_get_order($orderId);
            if ($order instanceof WC_Order) $this->tellOf($order);
        }
        $this->orders = [];
    }

    private function tellOf(WC_Order $order): void
    {
        [$status, $paid] = [$order->get_status(), $order->get_date_paid()];
        if ($status === 'checkout-draft' || $status === 'auto-draft') return;
        $this->emit($order, 'order.created', $order->get_date_created());
        if ($paid) $this->emit($order, 'order.paid', $paid);
        if ($status === 'completed') $this->emit($order, 'delivery.delivered', $order->get_date_completed());
        if ($status === 'cancelled') $this->emit($order, 'order.cancelled', $order->get_date_modified(), false);
        if ($status === 'refunded') $this->emit($order, 'order.refunded', $order->get_date_modified(), false);
        if ($status === 'failed' && $paid) $this->emit($order, 'order.failed', $order->get_date_modified(), false);
    }

    /** `$isOwn`: the time is that of the fact, and part of its id; else it is the closest there is. */
    private function emit(WC_Order $order, string $type, $when, bool $isOwn = true): void
    {
        $seconds = $when ? $when->getTimestamp() : null;
        $decimals = in_array($order->get_currency(), self::WITHOUT_DECIMALS, true) ? 0 : 2;
        $items = array_values($order->get_items());
        $product = $items && method_exists($items[0], 'get_product') ? $items[0]->get_product() : null;
        $this->monitor->emit($type, (string) $order->get_id(), array_filter([
            'id' => $isOwn && $seconds ? "$type@{$seconds}000" : $type,
            'time' => $seconds ? gmdate('Y-m-d\TH:i:s\Z', $seconds) : null,
            'sku' => $product ? ($product->get_sku() ?: (string) $product->get_id()) : null,
            'quantity' => $order->get_item_count() ?: null,
            'amount_minor' => (int) round((float) $order->get_total() * 10 ** $decimals),
            'currency' => $order->get_currency(),
            'provider' => $order->get_payment_method() ?: null,
        ], function ($value) { return $value !== null; }));
    }
}

if (defined('DELIVERY_MONITOR_SPOOL')) {
    new DeliveryMonitorWooCommerce(new DeliveryMonitor([
        'url' => defined('DELIVERY_MONITOR_URL') ? DELIVERY_MONITOR_URL : '',
        'key' => defined('DELIVERY_MONITOR_KEY') ? DELIVERY_MONITOR_KEY : '',
        'secret' => defined('DELIVERY_MONITOR_SECRET') ? DELIVERY_MONITOR_SECRET : '',
        'spool' => DELIVERY_MONITOR_SPOOL,
    ]));
}
