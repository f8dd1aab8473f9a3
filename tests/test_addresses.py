"""What of an address is written down, and which hosts are meant by a pattern."""

import json
import subprocess
import sys

import pytest

from hybridflux.addresses import host_of, is_allowed, redacted, without_secrets
from hybridflux.ingest.work import Work
from hybridflux.limits import AXIS, shown
from hybridflux.provenance import canonical_json, config_hash, provenance

SECRET = "S3CR3T"
WITH_SECRETS = [
    f"https://user:{SECRET}@host/a.tif",
    f"https://{SECRET}@host/a.tif",
    f"s3://key:{SECRET}@bucket/a.tif",
    f"/vsicurl/https://u:{SECRET}@h/x.tif#v",
    f"https://a.blob.core.windows.net/c/x.tif?st=1&se=2&sp=r&sig={SECRET}%2B1%3D",
    f"https://b.s3.amazonaws.com/x?X-Amz-Algorithm=A&X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&x=1",
    f"https://storage.googleapis.com/b/x?X-Goog-Signature={SECRET}",
    f"https://d.cloudfront.net/x?Expires=1&Signature={SECRET}~&Key-Pair-Id={SECRET}",
    f"https://h/x?access_token={SECRET}",
    f"https://h/x?a=1&api_key={SECRET}#frag",
    f"https://h/x?apikey={SECRET}&b=2",
    f"/vsicurl?url=https%3A%2F%2Fh%2Fx%3Fsig%3D{SECRET}&use_head=no",
    f"two: https://a:{SECRET}@h/x and https://h/y?token={SECRET}, failed",
    f"HTTP error, Authorization: Bearer {SECRET}",
    f"<Error>https://h/?sig={SECRET}</Error>",
]
PLAIN = [
    "https://maps.isric.org/mapserv?map=/map/sand.map&SERVICE=WCS&COVERAGEID=sand_0-5cm_mean&SUBSET=long(1.0,2.0)",
    "https://earth-search.aws.element84.com/v1#sentinel-2-c1-l2a",
    "mail a@b.org at 12:30; see `key=value` and C:/data",
    "/data/user@host/a.tif#2018-01-01,2018-02-01",
    "a: b=c&d=e",
]


@pytest.mark.parametrize("text", WITH_SECRETS)
def test_secrets_are_left_out(text):
    assert SECRET not in redacted(text) and "REDACTED" in redacted(text)
    assert redacted(redacted(text)) == redacted(text)


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays(text):
    assert redacted(text) == text


def test_records_lose_their_secrets_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["hybridflux", "region", WITH_SECRETS[0]])
    config = {"imagery": [{"place": text} for text in WITH_SECRETS]}
    work = Work(tmp_path / "r.build")
    work.write("views", {"origin": config, "path": tmp_path})
    assert SECRET not in json.dumps(provenance(config)) + canonical_json(config) + (tmp_path / "r.build" / "views.json").read_text()
    assert without_secrets((1, None, {"a": ("x",)})) == (1, None, {"a": ("x",)})


def test_a_renewed_signature_is_the_same_configuration():
    assert config_hash({"place": "https://h/x?sig=one"}) == config_hash({"place": "https://h/x?sig=two"})
    assert config_hash({"place": "https://h/x?sig=one"}) != config_hash({"place": "https://h/y?sig=one"})


def test_hosts():
    assert host_of("https://u:p@HOST.example:80/x") == "host.example" and host_of("s3://eodata/x") == "eodata"
    assert is_allowed("a.b.c", ["*.b.c"]) and not is_allowed("b.c.evil.org", ["*.b.c"]) and not is_allowed("evilb.c", ["*.b.c"])


@pytest.mark.parametrize("text", ["-1", "0", "many", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch, text):
    monkeypatch.setenv("HYBRIDFLUX_LIMIT_AXIS", text)
    with pytest.raises(ValueError, match="HYBRIDFLUX_LIMIT_AXIS=.* is no positive number"):
        AXIS.check(1, "f")


def test_foreign_values_are_cut_and_stay_on_one_line():
    assert len(shown("a\nb" * 10_000)) < 250 and "\n" not in shown("a\nb") and "\x1b" not in shown("\x1b[31m")


LEAK = """
import logging, sys, threading
from hybridflux.cli import app, main

URL = sys.argv.pop()

def fail():
    try:
        raise OSError(f"no answer of {URL}")
    except OSError as error:
        raise RuntimeError(f"{URL} failed") from error

@app.command()
def leak():
    try:
        fail()
    except RuntimeError:
        logging.getLogger("urllib3").exception("GET %s", URL)
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    fail()

main()
"""


def test_tracebacks_exception_chains_and_logs_show_no_secret():
    done = subprocess.run([sys.executable, "-c", LEAK, "leak", "--debug", WITH_SECRETS[4]], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and SECRET not in done.stdout + done.stderr
    assert done.stderr.count("direct cause") == 3 and done.stderr.count("Traceback") == 6  # of the log, the thread and the command
    assert done.stderr.count("sig=REDACTED") >= 7 and "GET https://a.blob" in done.stderr
