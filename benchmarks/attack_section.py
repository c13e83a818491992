"""The section on attacks: what was tried, how often, and how often it failed."""

from typing import Any

ATTACKED = {
    "kill": "trainings killed, or whose writing fails, at random instants, resumed to the same bytes",
    "writes": "calls that write, one by one failing or the end of the process, in all that is saved",
    "runs": "run folders with damaged, exchanged, linked and hostile files",
    "lists": "random files and words through the reader",
    "options": "random options and constraints from Python, each word checked",
    "command lines": "random command lines",
    "printed": "hostile words in what is printed and written",
    "disks": "quotas, full and read-only disks, no HOME, damaged compiled code",
    "server": "slow, hostile, foreign and many clients of the server; signals under load",
    "lab": "wrong tokens, hostile messages, files and pages in the lab; signals under load",
    "steady": "requests of all kinds to one server, whose memory stays as it is",
}


def attack_section(attack: dict[str, Any]) -> str:
    rows = [
        f"| {ATTACKED[name]} | {attack[name]['tries']:,} | {attack[name]['failures']:,} |"
        for name in ATTACKED
        if name in attack
    ]
    return "\n".join(["| attack | tries | failures |", "|---|---:|---:|", *rows])
