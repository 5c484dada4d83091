"""What `connect` says, in the language of the configuration; a test compares the keys."""

from __future__ import annotations

from collections.abc import Callable

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "answers": "it answers: {found}",
        "untested": "not tried (--untested)",
        "waits": "it will call us; nothing can be tried before that",
        "facts": "What will be known of an order:",
        "fact": "fact", "known": "known", "from": "from",
        "exact": "exactly", "second": "to the second", "inferred": "inferred", "missing": "missing",
        "down.never": "While we are down nothing is lost: it is read again afterwards.",
        "down.patience": "While we are down nothing is lost for {patience}; after that, what it sent is.",
        "down.at_once": "While we are down what it sends is lost: it does not try again.",
        "down.made_up": "The poll makes up for that.",
        "wrote": "wrote {name}", "kept": "kept  {name} (the shop uses it)",
        "enter": "Enter this address in the shop, with the secret in {file}:",
        "enter.bare": "Enter this address in the shop:",
        "next": "next:",
        "kinds": "Kinds of shops; `delivery-monitor connect KIND` asks for what it needs:",
        "kind": "kind", "how": "how",
        "how.database": "reads its database", "how.api": "asks its API", "how.hook": "takes its webhooks",
    },
    "zh-CN": {
        "answers": "连接成功：{found}",
        "untested": "未测试（--untested）",
        "waits": "由店铺主动通知，收到之前无法测试",
        "facts": "每个订单能知道：",
        "fact": "信息", "known": "精度", "from": "来源",
        "exact": "精确", "second": "精确到秒", "inferred": "推断", "missing": "无法得知",
        "down.never": "监控停机期间不会丢失：恢复后会重新读取。",
        "down.patience": "监控停机 {patience} 以内不会丢失；再久则期间的通知会丢失。",
        "down.at_once": "监控停机期间的通知会丢失：店铺不会重发。",
        "down.made_up": "轮询会补上。",
        "wrote": "已写入 {name}", "kept": "保留   {name}（店铺正在使用）",
        "enter": "在店铺后台填写以下地址，签名密钥在 {file}：",
        "enter.bare": "在店铺后台填写以下地址：",
        "next": "下一步：",
        "kinds": "支持的店铺；运行 `delivery-monitor connect 类型` 按提示填写：",
        "kind": "类型", "how": "方式",
        "how.database": "读取数据库", "how.api": "查询接口", "how.hook": "接收通知",
    },
}  # fmt: skip


def words_for(language: str) -> Callable[..., str]:
    """Return what says a phrase in a language."""
    phrases = WORDS[language]
    return lambda key, **values: phrases[key].format(**values)
