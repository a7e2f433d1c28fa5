"""Replace addresses of machines and identifiers of their hardware, and keep versions that look like addresses."""

from __future__ import annotations

import ipaddress
import re

from harness.redact.private import Private

Found = re.Match[str]
GPU_UUID = re.compile(
    r"(?<![\w-])(?:MIG-GPU|GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:/\d+)*", re.IGNORECASE
)
SERIAL = re.compile(r"((?i:\bserial(?:[ _-]?(?:number|no))?)['\"]?\s*[:=]\s*['\"]?)(?!<)[\w-]*\d[\w-]*")
_PAIR = "[0-9a-f]{2}"
MAC = re.compile(
    rf"(?<![\w:-])(?:(?:{_PAIR}:){{5}}{_PAIR}|(?=[0-9-]*[a-f])(?:{_PAIR}-){{5}}{_PAIR})(?![\w:-])", re.IGNORECASE
)
IPV6 = re.compile(r"(?<![\w:.])[0-9a-f]{1,4}(?:::?[0-9a-f]{1,4}){2,7}(?![\w:])", re.IGNORECASE)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
IPV4 = rf"(?<![\w.+-])(?P<ipv4>{_OCTET}(?:\.{_OCTET}){{3}})(?![\w+-]|\.\w)"
AS_VERSION = re.compile(r"(?:[=<>~!]=?|\bv|versions?|driver|release|python|windows|@)[\s:'\"`(]*$", re.IGNORECASE)
AS_ADDRESS = re.compile(
    r"\b(?:hosts?|hostname|ip|inet6?|addr|address|peer|server|node|connect(?:ed|ing|ion)?(?: to| from)?|"
    r"listening(?: on)?|bound to|bind|tcp|udp|ssh|ping|proxy|port|master_addr)[\s:='\"`(\[]*$",
    re.IGNORECASE,
)
_LOCAL = "internal|local|lan|corp|intranet|localdomain"
DOMAIN = rf"(?<![\w.@-])(?P<domain>[A-Za-z0-9][\w-]*(?:\.[\w-]+)*\.(?:{_LOCAL}))(?![\w(-]|\.\w)"
CODE_LIKE = {"self", "cls", "threading", "_thread"}


def redact_hardware(text: str, private: Private) -> str:
    """Replace UUIDs and serial numbers of GPUs, MAC and IPv6 addresses."""
    for uuid in private.gpus:
        text = re.sub(rf"(?<![\w-]){re.escape(uuid)}(?![\w-])", "<gpu>", text)
    text = SERIAL.sub(r"\1<serial>", GPU_UUID.sub("<gpu>", text))
    return IPV6.sub(_redact_ipv6, MAC.sub("<mac>", text))


def _redact_ipv6(found: Found) -> str:
    try:
        ipaddress.IPv6Address(found[0])
    except ValueError:
        return found[0]
    return "<ip>"


def redact_ipv4(found: Found, private: Private) -> str:
    """Replace an address, but not a version of four numbers. ``10.3.9.90`` may be either: the context decides.

    =========================================================== ========
    a version of the run; after ``==``, ``version``, ``driver`` kept
    127.0.0.1, 0.0.0.0, netmasks                                kept
    192.168.…, 172.16–31.…, 169.254.…                           replaced
    with a port or a mask; after ``host``, ``connect to`` …     replaced
    10.…, not right after a package's name                      replaced
    anything else                                               kept
    =========================================================== ========
    """
    text, address = found["ipv4"], ipaddress.IPv4Address(found["ipv4"])
    before, after = found.string[max(0, found.start() - 40) : found.start()], found.string[found.end() :]
    if text in private.versions or AS_VERSION.search(before) or text.startswith(("127.", "0.", "255.")):
        return text
    ten = text.startswith("10.")
    if address.is_link_local or (address.is_private and text.startswith(("192.168.", "172."))):
        return "<ip>"
    if re.match(r":\d{2,5}(?!\w)|/\d{1,2}(?!\w)", after) or AS_ADDRESS.search(before):
        return "<ip>"
    word = re.search(r"([A-Za-z][\w.-]*)[\s:`'\"]+$", before)
    package = word is not None and ("-" in word[1] or word[1].lower() in private.packages)
    return "<ip>" if ten and not package else text


def redact_domain(found: Found, private: Private) -> str:
    """Replace a name of a local network; ``threading.local`` is code."""
    name = found["domain"]
    head = name.partition(".")[0]
    code = "_" in head or head in CODE_LIKE or head.lower() in private.packages
    return name if code and not re.search(r"[\d-]", name) else "<host>"
