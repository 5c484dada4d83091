<?php
declare(strict_types=1);

namespace App\Plugin\DeliveryMonitor\Hook;

use App\Consts\Hook as Point;
use App\Controller\Base\View\UserPlugin;
use App\Model\Card;
use App\Model\Order;
use App\Util\Plugin;
use Kernel\Annotation\Hook;

require_once dirname(__DIR__) . '/delivery_monitor.php'; // a copy of examples/emitters/delivery_monitor.php

/**
 * Tells Delivery Monitor what the shop knows of an order, once the request is over.
 *
 * The hook of a payment runs within its transaction: a rollback would take back what was told, and a slow
 * receiver would hold the order's lock. So a hook only remembers the number. At the end of the request the order
 * is read again, and what it says then is spooled, under the ids that the monitor gives when it reads the database
 * itself. What the buyer got is compared here and goes nowhere.
 */
class Orders extends UserPlugin
{
    private const NAME = 'DeliveryMonitor';
    private const APOLOGY = '很抱歉，有人在你付款之前抢走了商品';
    private const BY_HAND = 1; // delivery_way
    private const WITHOUT_GOODS = 'delivered_without_goods'; // as the monitor calls it
    private static array $seen = [];    // trade number => what is told beside its state
    private static bool $isWaiting = false;

    #[Hook(point: Point::USER_API_ORDER_TRADE_AFTER)]
    public function created($commodity, $order, $pay = null): void
    {
        self::remember((string) $order->trade_no);
    }

    #[Hook(point: Point::USER_API_ORDER_PAY_AFTER)]
    public function paid($commodity, $order, $pay = null): void
    {
        self::remember((string) $order->trade_no, 'order.paid');
    }

    #[Hook(point: Point::ORDER_MANUAL_DELIVERY_AFTER)]
    public function deliveredByHand($order, $isOverwritten = false): void
    {
        self::remember((string) $order->trade_no);
    }

    #[Hook(point: Point::SERVICE_PAY_CALLBACK_FAIL)]
    public function refused($handle, $reason, $tradeNo = null, $map = []): void
    {
        if ($tradeNo) self::remember((string) $tradeNo, 'payment.callback', (string) $handle, (string) $reason);
    }

    private static function remember(string $tradeNo, string $what = '', string $handle = '', string $reason = ''): void
    {
        self::$seen[$tradeNo][] = [$what, $handle, $reason];
        if (!self::$isWaiting) register_shutdown_function([self::class, 'tell']);
        self::$isWaiting = true;
    }

    /** Spools what the orders of this request say now; nothing for one that was rolled back. */
    public static function tell(): void
    {
        try {
            $set = Plugin::getConfig(self::NAME);
            if (!(int) ($set['STATUS'] ?? 0)) return;
            if (function_exists('fastcgi_finish_request')) fastcgi_finish_request();
            $monitor = new \DeliveryMonitor(array_intersect_key($set, array_flip(['url', 'secret', 'spool'])));
            foreach (self::$seen as $tradeNo => $told) {
                $order = Order::query()->where('trade_no', (string) $tradeNo)->first();
                if ($order) self::tellOf($monitor, $order, $told);
            }
        } catch (\Throwable $error) {
            Plugin::log(self::NAME, get_class($error)); // never its text: it may hold what a row holds
        }
        self::$seen = [];
    }

    private static function tellOf(\DeliveryMonitor $monitor, $order, array $told): void
    {
        $commodity = $order->commodity;
        $isByHand = (int) ($commodity->delivery_way ?? 0) === self::BY_HAND && empty($commodity->shared_id);
        $about = array_filter([
            'channel' => empty($commodity->shared_id) ? ($isByHand ? 'manual' : 'auto') : "upstream-{$commodity->shared_id}",
            'fulfilment' => $isByHand ? 'manual' : 'auto',
            'sku' => (string) $order->commodity_id, 'quantity' => (int) $order->card_num,
            'amount_minor' => (int) round((float) $order->amount * 100), 'currency' => 'CNY',
            'provider' => (string) ($order->pay->handle ?? ''),
        ]);
        foreach ($told as [$what, $handle, $reason]) {
            if ($what !== 'payment.callback') continue;
            $monitor->emit($what, $order->trade_no, ['outcome' => 'rejected', 'reason' => $reason, 'provider' => $handle]);
        }
        self::emit($monitor, 'order.created', $order, (string) $order->create_time, $about);
        if ((int) $order->status !== 1) return; // rolled back, or not paid yet
        self::emit($monitor, 'order.paid', $order, (string) $order->pay_time, $about);
        if ((int) $order->delivery_status !== 1) return;
        $handed = self::handedOver($order, (int) ($commodity->delivery_way ?? 0), !empty($commodity->shared_id));
        if ($handed === null) {
            self::emit($monitor, 'delivery.failed', $order, (string) $order->pay_time, $about + ['reason' => self::WITHOUT_GOODS]);
        } else {
            self::emit($monitor, 'delivery.delivered', $order, $handed, $about);
        }
    }

    /** When goods were handed over, '' for now, null for an apology or too few; the rule of the adapter for the database. */
    private static function handedOver($order, int $way, bool $isUpstream): ?string
    {
        $count = (int) $order->card_num;
        $isApology = str_starts_with((string) $order->secret, self::APOLOGY);
        $cards = Card::query()->where('order_id', $order->id)->count();
        if ($isUpstream || ($count > 0 && $cards >= $count)) return $isApology ? null : (string) $order->pay_time;
        if ($way === self::BY_HAND) return '';
        $lines = array_filter(preg_split('/\r\n|\r|\n/', (string) $order->secret), fn ($line) => trim($line) !== '');
        return $isApology || $cards > 0 || count($lines) < max($count, 1) ? null : '';
    }

    /** A fact at the shop's own time (naive, Asia/Shanghai), or without one: then the first word about it counts. */
    private static function emit(\DeliveryMonitor $monitor, string $type, $order, string $at, array $about): void
    {
        $moment = $at === '' ? false : date_create($at . ' +08:00');
        $monitor->emit($type, $order->trade_no, $about + ($moment
            ? ['id' => $type . '@' . $moment->getTimestamp() . '000', 'time' => $moment->format(DATE_RFC3339)]
            : ['id' => $type]));
    }
}
