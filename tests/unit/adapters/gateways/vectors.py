"""Callbacks as gateways send them, signed by other programs: PHP, and the openssl command line.

The private key of the two RSA vectors was thrown away. That of epusdt's documentation is published.
"""

from __future__ import annotations

from urllib.parse import urlencode

from monitor.model.gateways import GatewayKeys
from monitor.model.secret import Secret
from monitor.model.shops import RawRequest

RECEIVED_MS = 1_795_140_010_000  # 2026-11-20T02:00:10Z
PAID_MS = 1_795_140_008_000

PUBLIC_KEY = """\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAzVJD+4KsYmFkI4QTBNPG
inM90h5y8BJBF2WRBR+yT2CMmkzc/9U4Cy+GSr06QyaKLEz7Dne0qZWwT/1YOznP
OqNopVeCL+H5vApRE7+tXE5BMWb6VgQsX8cdjBBmaZ9MKVkR/kz4tCbkGlfc6rmu
tfhSA0lnM8yZaw8v+aggzJb35QDCAN5yDjP34onP66IQ1LzMG+542xtEWeaCdylN
2DhbtP4dYypCnbhNXSo+VhVjY4dOpVGZyuxInmOgNiA7b+ylAkkOnpvpZuCEZbVE
2fMJd3n39ndvebpOhqTGU4d/4BAlOIbKY0OK4I63XrasZ/uAPfqV2Y3UQd92jND0
zwIDAQAB
-----END PUBLIC KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIDBTCCAe2gAwIBAgIUDdTlcV/FKzikXm62rAwf8oItwBgwDQYJKoZIhvcNAQEL
BQAwETEPMA0GA1UEAwwGVmVjdG9yMCAXDTI2MTEyMzAzNDQ1MloYDzIxMjYxMDMw
MDM0NDUyWjARMQ8wDQYDVQQDDAZWZWN0b3IwggEiMA0GCSqGSIb3DQEBAQUAA4IB
DwAwggEKAoIBAQDNUkP7gqxiYWQjhBME08aKcz3SHnLwEkEXZZEFH7JPYIyaTNz/
1TgLL4ZKvTpDJoosTPsOd7SplbBP/Vg7Oc86o2ilV4Iv4fm8ClETv61cTkExZvpW
BCxfxx2MEGZpn0wpWRH+TPi0JuQaV9zqua61+FIDSWczzJlrDy/5qCDMlvflAMIA
3nIOM/fiic/rohDUvMwb7njbG0RZ5oJ3KU3YOFu0/h1jKkKduE1dKj5WFWNjh06l
UZnK7EieY6A2IDtv7KUCSQ6em+lm4IRltUTZ8wl3eff2d295uk6GpMZTh3/gECU4
hspjQ4rgjrdetqxn+4A9+pXZjdRB33aM0PTPAgMBAAGjUzBRMB0GA1UdDgQWBBTc
lJ90GvjVG9fDvE434r6M5h2aazAfBgNVHSMEGDAWgBTclJ90GvjVG9fDvE434r6M
5h2aazAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4IBAQCGnl/tfvhj
qcupBpri0QbxKwEztDXFkR+gZk3oac5A/yQrkz8L83GlDq4zsf6BxHBdzxJexLLH
LnXB8qhzibbdj+Z8w59SwAzXcQSNNPbce2IXNcHN3Nv5bmUjs/nRo7on1NfTk2AJ
hEYsjZ64BFZb0Zj3+dLmuu6zcsifyWOKYk8fK9lMTMwi46fwSMe1k9tJmQfoLZ6n
TF1eV+0CIb+SC7KZtuM3nhOBEJDHLy7KUeEZ+85MxVnxTDjGX5B2HAod367Btiqj
Ty+iho56mKFnrz2RFKmH00r2X8sj0OzHLcPbz6BrYRg4a1Iaq5R92AmSoC01xH8L
yKUyKEkhr4Ic
-----END CERTIFICATE-----
"""

YIPAY_KEYS = GatewayKeys(secrets=(Secret("yipay-vector-key"),))
YIPAY_QUERY = (
    "money=88.80&name=%E6%9C%88%E5%8D%A1+A%2BB&out_trade_no=A1001&param=&pid=1001"
    "&trade_no=2026112010000812345&trade_status=TRADE_SUCCESS&type=alipay"
    "&sign=535345d4e656a423e7a76557f636f96b&sign_type=MD5"
)

EPUSDT_KEYS = GatewayKeys(secrets=(Secret("epusdt-vector-key"),))
EPUSDT_BODY = (
    b'{"trade_id":"20261120167","order_id":"A1001","amount":28.88,"actual_amount":4.13,'
    b'"token":"TNEns8t9jbWENbStkQdVQtHMGpbsYsQjZK","block_transaction_id":"3a1f","status":2,'
    b'"signature":"d262d7ebbd8023faa2a39442c8bfef9f"}'
)

VPAY_KEYS = GatewayKeys(secrets=(Secret("vpay-vector-key"),))
VPAY_QUERY = (
    "payId=A1001&param=&type=1&price=88.80&reallyPrice=88.81&sign=c8b64f181dcffe5554016c05f70aa3de"
)

ALIPAY_KEYS = GatewayKeys(public_keys=(PUBLIC_KEY,))
ALIPAY_SIGNED = (
    "app_id=2021000000000001&buyer_pay_amount=88.80&charset=utf-8"
    "&gmt_create=2026-11-20 10:00:00&gmt_payment=2026-11-20 10:00:08"
    "&notify_id=2026112000222100008aa&notify_time=2026-11-20 10:00:09&notify_type=trade_status_sync"
    "&out_trade_no=A1001&subject=月卡 & 会员&total_amount=88.80&trade_no=2026112022001400001&trade_status=TRADE_SUCCESS&version=1.0"
)
ALIPAY_SIGNATURE = (
    "o0R00urWbZlQyLvQqedvQe77v7X/CIQzqmV3UK4dkqQUNfs8N4I8wBuLFOecsx+067aWurKJgB0pjquC"
    "7gZAcXzTtZW0jrRJ6oXlZkHGfbygx0pDBfKyonE/QVKL/wIPkHuoHS2YHqyWIFOq2Wxb2Tqcfu4Crh8W"
    "vieEn4B7oPOSWdn93AYN6rnlBlzzYcjT9rWEGZrBPeIXqcbV4ZM0YRP755J7spCQuf+QHiSk5i8gQUCX"
    "zo0nz1Oy5QmlJHM4VDBjW/Kdam92WsaSPw/4GUrJFlSfb2Ouo/2IWKKzy2RmtewzyYQxaKwoGl5Z+txG"
    "m8zny2GoJ6WXJHOl/6SRfg=="
)

WECHAT_KEYS = GatewayKeys(
    secrets=(Secret("0123456789abcdef0123456789abcdef"),), public_keys=(CERTIFICATE,)
)
WECHAT_BODY = (
    '{"id":"EV-1","create_time":"2026-11-20T10:00:09+08:00","resource_type":"encrypt-'
    'resource","event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"origi'
    'nal_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"sfUak48wKIm'
    "k/gfHU2w3eS27LVrmnuJl6QJdV/zBbbi07ceKb/a6A6OAp9jbsICmjkCAVvgOOLu2ynRXArLum9J7iYh"
    "WLHorYaCAQOng5NRmu+4Q6RFrJ2yLinp3j4fg8LlyP4llYUOAZsAv1Vqw5+ooZK0eY4eihpeMI7441T8"
    "1fzIbG64Byjh/1lWqL+7yOGPXdfKSJ6gPvn4ErpuyAFwZXea760uwokAt7xZ8ELq26iChb4Ria4NREls"
    "tpjtNOSs+4ATag9SlEajXsMHaudJXpZrWb0+Q3oi7FOpppJz7ZAk/Bx34w/DWuha8/cgqXLZKaX4dY/r"
    "XqeSaugO9t7Db3kYKoB4uD7Nqm1koCogqO3y1RhxRHZAC0F6KXeXdkHG/8mMdhr87oNyWF0yv7jFBKyQ"
    '6Nw==","associated_data":"transaction","nonce":"fdasfvector1"}}'
).encode()
WECHAT_SIGNATURE = (
    "oRamva+CV8oxJYlRqbSn2QcA/kLgLeRF8yRSi2raQl7CmgniA5uV1JVN+yVydwTZkfk+T5uQvPY6wYDP"
    "b0KX5EJB7LRVOS5fwblWIldHRmb+1r8KOPCML6usGj6Ftt6zzROLRDQf99HYQwubKAdbPpr4SkIpR/u9"
    "9x2NvzWpaHWOIBvh0HDRmFDIhOEAFWlMoKIl+u/d7jP+KcEsuW8TF3+N46O5CHqu6FcXjOI/I5k6zbxM"
    "MQvOD+2SBKSw0xr/cu8EEze9Ra9ztg0ZBQ1KIKLLJNiThcZA/k4/21B7Uh5o04hVxMKyx46rXjRtwZqE"
    "23RXy4uEeW59vY4VFJHW5g=="
)
WECHAT_HEADERS = (
    ("Wechatpay-Timestamp", "1795140009"),
    ("Wechatpay-Nonce", "nonceVector0001"),
    ("Wechatpay-Signature", WECHAT_SIGNATURE),
    ("Wechatpay-Serial", "0DD4E571"),
    ("Content-Type", "application/json"),
)

# The key of the example in WeChat's documentation.
WECHAT_V2_KEYS = GatewayKeys(secrets=(Secret("192006250b4c09247ec02edce69f6a2d"),))
WECHAT_V2_FIELDS = {
    "appid": "wx2421b1c4370ec43b", "attach": "月卡 A&B", "device_info": "", "fee_type": "CNY",
    "mch_id": "10000100", "nonce_str": "5d2b6c2a8db53831", "out_trade_no": "A1001",
    "result_code": "SUCCESS", "return_code": "SUCCESS", "time_end": "20261120100008",
    "total_fee": "8880", "trade_type": "NATIVE", "transaction_id": "4200000000202611209999",
}  # fmt: skip
WECHAT_V2_MD5 = "DD033D919D40732ABAD08172AFAB75C2"
WECHAT_V2_HMAC = "86E27A73001398827776AECBD1EE1641F26168D5C4C61E45A967CA298842F41D"


def wechat_v2_body(sign: str = WECHAT_V2_MD5) -> bytes:
    """The notice of the vector."""
    fields = WECHAT_V2_FIELDS | {"sign": sign}
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>\n" for name, value in fields.items())
    return f"<xml>{inner}</xml>".encode()


def get(query: str) -> RawRequest:
    """A gateway calls by GET."""
    return RawRequest("GET", f"/relay/shop/pay?{query}", (("Host", "shop"),), b"", RECEIVED_MS)


def post(
    body: bytes, headers: tuple[tuple[str, str], ...] = (), received_ms: int = RECEIVED_MS
) -> RawRequest:
    """A gateway calls by POST."""
    return RawRequest("POST", "/relay/shop/pay", headers, body, received_ms)


def alipay_form(**changed: str) -> bytes:
    """The form of the vector, with fields put over it."""
    fields = dict(pair.split("=", 1) for pair in ALIPAY_SIGNED.split("&") if "=" in pair)
    fields |= {"subject": "月卡 & 会员", "sign": ALIPAY_SIGNATURE, "sign_type": "RSA2"}
    return urlencode(fields | changed).encode()
