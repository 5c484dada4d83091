"""The configuration of a crash round: four suppliers, one of each class, and a small pool."""

from __future__ import annotations

from pathlib import Path

SETTLE_S = 1.0
LATE_S = (0.2, 0.85)  # when a late request takes effect; well within settle
CLASSES = ("idempotent", "queryable", "detectable", "opaque")
POOL_SKU, SKU = "pooled", "bought"
# Which channels a round tries, in this order; the pool holds goods of one sku only.
ORDERS = {
    "idempotent": ("pool", "idempotent", "queryable"),
    "queryable": ("pool", "queryable", "idempotent"),
    "detectable": ("pool", "detectable", "queryable"),
    "opaque": ("pool", "queryable", "opaque"),
}

_CONFIG = """
language: en
currency: CNY
data_dir: {folder}/data
listen: 127.0.0.1:{port}
promise: {{default: 1s}}
tiers: {{l1_after: promise, l2_after: 1h, l3_after: 2h}}
channels:
  - {{name: auto, kind: external}}
{suppliers}
  - {{name: pool, kind: stock}}
fallback: {{mode: enforce, after: 1s, order: [{order}], claim_ttl: 6h,
           max_per_hour: 1000000, max_value_per_day_minor: 1000000000}}
shop: {{claim_url: "{market}/shop/claim", deliver_url: "{market}/shop/deliver",
       release_url: "{market}/shop/release", notify_url: "{market}/shop/notify",
       compensate_url: "{market}/shop/compensate", refund_url: "{market}/shop/refund"}}
playbooks: playbooks.yaml
"""

COUPON_MINOR, BUDGET_MINOR = 100, 3_000
# Who waits for long is called out; in some rounds the money goes back as well.
_PLAYBOOKS = """
version: 1
playbooks:
  - {{id: word, level: 1, when: {{tier: L1}}, do: [{{notify_buyer: {{template: delayed_soft}}}}]}}
  - id: sorry
    level: 2
    when: {{age: ">=3s"}}
    do: [{{coupon: {{value: 1 CNY, once_per: buyer/30d}}}}]
    budget: {{coupon: 30 CNY/day}}
  - {{id: end, level: 3, when: {{age: ">=5s"}}, do: [{end}]}}
defaults: {{dry_run: false, batch_above: 1000}}
"""

_SUPPLIER = """
  - name: {name}
    kind: http
    capability: {name}
    settle: {settle}s
    submit: {{method: POST, url: "{market}/{name}/buy", timeout: 1s,
             json: {{ref: "{{{{ attempt_ref }}}}", order: "{{{{ order_id }}}}",
                    quantity: "{{{{ quantity }}}}"}}}}
{query}
    answer:
      delivered: {{when: {{status: delivered}}, goods: keys, supplier_ref: id}}
      accepted: {{when: {{status: accepted}}, supplier_ref: id}}
      not_found: {{when: {{http: 404, status: not_found}}}}
      rejected: {{when: {{status: rejected}}, code: code}}
    errors: {{out_of_stock: {{retry: other, blame: channel}}}}
"""
_QUERY = (
    '    query: {{method: GET, url: "{market}/{name}/orders/{{{{ attempt_ref }}}}", timeout: 1s}}'
)


def write(folder: Path, capability: str, *, port: int, market: str, refunds: bool) -> Path:
    """Write monitor.yaml of a round, and its playbooks; returns where it is."""
    end = "page, refund" if refunds else "page"
    (folder / "playbooks.yaml").write_text(_PLAYBOOKS.format(end=end))
    suppliers = "".join(
        _SUPPLIER.format(
            name=name,
            settle=int(SETTLE_S),
            market=market,
            query=_QUERY.format(market=market, name=name) if name == "queryable" else "",
        )
        for name in CLASSES
    )
    path = folder / "monitor.yaml"
    path.write_text(
        _CONFIG.format(
            folder=folder,
            port=port,
            market=market,
            suppliers=suppliers,
            order=", ".join(ORDERS[capability]),
        )
    )
    return path
