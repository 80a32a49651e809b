"""Runs the steps of a file with the helper for Python and prints their results."""
import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import sallyport  # noqa: E402


class Used:
    taken = set()

    def claim(self, id, expires):
        first = id not in self.taken
        self.taken.add(id)
        return first


sets = {}


def keys(url):
    return sets.setdefault(url, sallyport.KeySet(url))


run = {
    "permit": lambda s: sallyport.sign_permit(s["site_key"], **s["given"]),
    "voucher": lambda s: sallyport.sign_voucher(s["site_key"], **s["given"]),
    "verify": lambda s: sallyport.verify_receipt(s["token"], **s["want"], keys=keys(s["jwks"]), used=Used(), now=s.get("now")),
    "claim": lambda s: sallyport.claim_receipt(s["gate"], s["site_key"], s["token"], **s["want"]),
}
results = []
for step in json.load(open(sys.argv[2], encoding="utf-8")):
    try:
        results.append({"ok": run[step["do"]](step)})
    except Exception as err:  # told to the test
        results.append({"error": getattr(err, "reason", repr(err))})
print(json.dumps(results))
