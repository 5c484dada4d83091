"""The shop systems by kind. A new one is one module beside this and one line in a table."""

from __future__ import annotations

from monitor.adapters.shops import acg_faka, dujiao_next, dujiaoka, kami_faka, zfaka
from monitor.adapters.shops.acg_faka_hook import AcgFakaHook
from monitor.adapters.shops.database_url import parse_url as check_url
from monitor.adapters.shops.dujiao_next_hook import DujiaoNextHook
from monitor.adapters.shops.dujiaoka_hook import DujiaokaHook
from monitor.adapters.shops.gumroad import Gumroad
from monitor.adapters.shops.keygen import Keygen
from monitor.adapters.shops.lemonsqueezy import LemonSqueezy
from monitor.adapters.shops.paddle import Paddle
from monitor.adapters.shops.pull_kind import PullKind
from monitor.adapters.shops.push import Push
from monitor.adapters.shops.saleor import Saleor
from monitor.adapters.shops.shopify import Shopify
from monitor.adapters.shops.standard_webhooks import StandardWebhooks
from monitor.adapters.shops.stripe import Stripe
from monitor.adapters.shops.woocommerce import WooCommerce

__all__ = ["PULLS", "PUSHES", "check_url", "kinds"]

# Read where they keep their orders.
PULLS: dict[str, PullKind] = {
    "acg-faka": acg_faka.KIND,
    "dujiao-next": dujiao_next.KIND,
    "dujiaoka": dujiaoka.KIND,
    "kami-faka": kami_faka.KIND,
    "zfaka": zfaka.KIND,
}
# Read when they call `POST /hooks/{source}`.
PUSHES: dict[str, type[Push]] = {
    "acg-faka": AcgFakaHook,
    "dujiao-next": DujiaoNextHook,
    "dujiaoka": DujiaokaHook,
    "gumroad": Gumroad,
    "keygen": Keygen,
    "lemonsqueezy": LemonSqueezy,
    "paddle": Paddle,
    "saleor": Saleor,
    "shopify": Shopify,
    "standard_webhooks": StandardWebhooks,
    "stripe": Stripe,
    "woocommerce": WooCommerce,
}


def kinds() -> tuple[str, ...]:
    """Every kind that a source can have, besides `events`."""
    return tuple(sorted(PULLS.keys() | PUSHES.keys()))
