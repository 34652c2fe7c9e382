"""The console, by a real browser: headless Chromium goes through what people do there.

    console.py [--screenshots FOLDER]

With --screenshots two pictures for the README are kept there. axe-core looks at each page when it is installed (tools/dialects/run
does that). Not here: what a hostile request is answered (tests/api_console.rs).
"""

import argparse
import contextlib
import json
import os
import tempfile
import time

import boto3
from alone import Claims, Served
from botocore.config import Config
from playwright.sync_api import sync_playwright

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["iam:*", "s3:*"], "Resource": "*"}]}
BUCKETS = ["backups", "billing-exports", "customer-photos", "logs", "models"]
PHONE = {"width": 360, "height": 740}
ACCOUNT = "123456789012"
# A key that only imported records know.
OUTSIDE = "AKIAOUTSIDE000000001"
holds = Claims()


def iam(server, key):
    config = Config(retries={"total_max_attempts": 1}, user_agent_extra="leaked/1" if key != server.root else None)
    return boto3.client("iam", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id=key[0],
                        aws_secret_access_key=key[1], config=config)


def writes(server, key, bucket):
    """What the storage beside the console answers a write with this key: 200, or a refusal."""
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=server.s3, region_name="us-east-1", aws_access_key_id=key[0],
                          aws_secret_access_key=key[1], config=config)
    try:
        return client.put_object(Bucket=bucket, Key="a", Body=b"1")["ResponseMetadata"]["HTTPStatusCode"]
    except client.exceptions.ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]


def story(server, pause):
    """An org in which a key leaked: what it made, and what of that still lives. The id of the key. `pause` seconds pass between
    its acts, so that a picture has something to show."""
    root = iam(server, server.root)
    arn = root.create_policy(PolicyName="deploy", PolicyDocument=json.dumps(ALLOW), Description="What deployments need")["Policy"]["Arn"]
    root.create_user(UserName="ci-deploy")
    root.attach_user_policy(UserName="ci-deploy", PolicyArn=arn)
    root.create_user(UserName="reports")
    made = root.create_access_key(UserName="ci-deploy")["AccessKey"]
    leaked = iam(server, (made["AccessKeyId"], made["SecretAccessKey"]))
    for _ in range(4):
        leaked.get_user()
        time.sleep(pause)
    leaked.list_users()
    leaked.create_user(UserName="svc-monitor")
    leaked.attach_user_policy(UserName="svc-monitor", PolicyArn=arn)
    second = leaked.create_access_key(UserName="svc-monitor")["AccessKey"]
    time.sleep(pause)
    leaked.create_access_key(UserName="reports")
    back = iam(server, (second["AccessKeyId"], second["SecretAccessKey"]))
    back.list_access_keys(UserName="ci-deploy")
    time.sleep(pause)
    back.create_access_key(UserName="svc-monitor")
    for action in ("list_account_aliases", "get_account_summary", "list_policies"):
        getattr(leaked, action)()
        time.sleep(pause)
    root.update_access_key(UserName="ci-deploy", AccessKeyId=made["AccessKeyId"], Status="Inactive")
    with contextlib.suppress(leaked.exceptions.ClientError):
        leaked.list_users()
    root.delete_access_key(UserName="svc-monitor", AccessKeyId=second["AccessKeyId"])
    time.sleep(pause)
    return made["AccessKeyId"]


def import_records(server, folder, key):
    """What CloudTrail recorded of this key and of one that the ledger never held, as evidence of the org's account."""
    def record(n, key, name, call, error=None):
        service, call = call.split(":")
        return {
            "eventVersion": "1.09", "eventID": f"{n:08x}-0000-4000-8000-000000000000", "eventTime": f"2026-11-2{n % 6}T0{n % 9}:1{n % 5}:00Z",
            "userIdentity": {"type": "IAMUser", "userName": name, "accountId": ACCOUNT, "accessKeyId": key, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}"},
            "eventSource": f"{service}.amazonaws.com", "eventName": call, "awsRegion": "eu-west-1", "recipientAccountId": ACCOUNT,
            "sourceIPAddress": ("203.0.113.9", "198.51.100.23")[n % 2], "userAgent": ("aws-cli/2.15.0", "S3 Browser/11.6.7")[n % 2],
            "requestParameters": {"bucketName": "customer-photos"} if service == "s3" else None,
            **({"errorCode": error} if error else {}),
        }
    calls = ["s3:ListBuckets", "s3:GetBucketAcl", "iam:ListUsers", "sts:GetCallerIdentity", "s3:GetObject"]
    records = [record(n, key, "ci-deploy", calls[n % 5], "AccessDenied" if n % 7 == 0 else None) for n in range(60)]
    records += [record(100 + n, OUTSIDE, "old-laptop", calls[n]) for n in range(3)]
    path = os.path.join(folder, "trail.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"Records": records}, file)
    server.cli("import", "cloudtrail", path)


def imported(page, server, leaked):
    for path in (f"/console/keys/{leaked}", f"/console/keys/{leaked}/investigation"):
        page.goto(server.url + path)
        text = page.locator("#evidence").inner_text()
        holds("imported records are told, and as what they are", all(it in text for it in (
            "In imported records", "Not seen by this server", ACCOUNT, "s3:ListBuckets", "203.0.113.9", "S3 Browser", "of 60")), text)
    page.goto(f"{server.url}/console/keys/{OUTSIDE}")
    text = page.locator("main").inner_text()
    holds("a key of imported records alone has a page", "no key of this org" in text and "old-laptop" in text, text)


def verify(page, server):
    page.goto(server.url + "/console/health")
    page.get_by_role("button", name="Verify now").click()
    page.wait_for_url("**/console/health?done=verifying")
    for _ in range(100):
        if page.get_by_text("Last verified").is_visible() and not page.get_by_text("Running").is_visible():
            break
        time.sleep(0.1)
        page.reload()
    text = page.locator("#verification").inner_text()
    holds("the ledger is verified when that is asked for", "Whole" in text and "Up to commit" in text, text)


def sign_in(page, server):
    page.goto(server.url + "/console")
    holds("whoever is not signed in is asked to", page.url.endswith("/console/sign-in"), page.url)
    page.get_by_label("Access key id").fill(server.root[0])
    page.get_by_label("Secret access key").fill("not the secret")
    page.get_by_role("button", name="Sign in").click()
    holds("a wrong secret does not sign in", page.get_by_role("alert").is_visible())
    page.get_by_label("Access key id").fill(server.root[0])
    page.get_by_label("Secret access key").fill(server.root[1])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/console/keys")


def create(page, server, label, buckets):
    """Makes a key through the form; its id."""
    page.goto(server.url + "/console/keys")
    page.get_by_role("link", name="Create access key").click()
    page.get_by_label("Label").fill(label)
    if buckets is None:
        page.get_by_role("radio", name="All buckets").check()
    else:
        for bucket, role in buckets.items():
            page.get_by_label(bucket, exact=True).select_option(role)
    page.get_by_label("Expires").select_option(label="In 90 days")
    page.get_by_role("button", name="Create access key").click()
    key, secret = page.locator("#made-id").inner_text(), page.locator("#made-secret").inner_text()
    holds("the secret has 40 characters", len(secret) == 40, secret)
    for snippet in ("#snippet-cli", "#snippet-boto3"):
        text = page.locator(snippet).inner_text()
        holds("snippets have endpoint, id and secret", all(part in text for part in (server.s3, key, secret)), text)
    return key, secret


def copies(page):
    page.get_by_role("button", name="Copy the secret access key").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    holds("the copy button copies the secret", copied == page.locator("#made-secret").inner_text())


def keys(page, server, screenshots):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    two, secret = create(page, server, "billing export, production", {"billing-exports": "Editor", "logs": "ReadOnly"})
    copies(page)
    holds("the new key writes where it may", (writes(server, (two, secret), "billing-exports"), writes(server, (two, secret), "logs")) == (200, 403))
    page.reload()
    body = page.content()
    holds("after a reload the secret is gone", secret not in body and "cannot be shown again" in body, body)
    every, _ = create(page, server, "nightly backup", None)
    for n, label in enumerate(["thumbnailer, production", "thumbnailer, staging", "model training", "log shipper"]):
        create(page, server, label, {BUCKETS[(n + 2) % 5]: "Editor"})
    page.goto(server.url + "/console/keys")
    holds("all keys are listed", page.get_by_text("billing export").count() == 1 and page.get_by_text("nightly backup").count() == 1)
    row = page.locator("tr", has_text="nightly backup")
    holds("a key for all buckets says so", "All buckets" in row.inner_text(), row.inner_text())
    page.get_by_label("Search").fill("BILLING")
    page.get_by_role("button", name="Search").click()
    holds("search finds by label in any case", page.locator("tbody tr").count() == 1, page.content())
    page.get_by_role("link", name="billing export, production").click()
    page.locator("summary", has_text="Revoke").click()
    colour = page.locator("button.revoke", has_text="Revoke this key").evaluate("it => getComputedStyle(it).backgroundColor")
    holds("revoke is orange", colour == "rgb(194, 84, 10)", colour)
    page.get_by_role("button", name="Revoke this key").click()
    holds("it is revoked", page.locator("h1 .pill").inner_text() == "Revoked")
    holds("and refused by the storage", writes(server, (two, secret), "billing-exports") == 403)
    page.goto(server.url + "/console/keys?status=Revoked")
    holds("a revoked key stays in the list", two in page.content())
    page.get_by_role("link", name="billing export, production").click()
    page.locator("summary", has_text="Delete").click()
    button = page.get_by_role("button", name="Delete this key")
    holds("delete waits for the id", button.is_disabled())
    page.locator("#confirm").fill(two[:-1])
    holds("nearly is not enough", button.is_disabled())
    page.locator("#confirm").fill(two)
    colour = button.evaluate("it => getComputedStyle(it).backgroundColor")
    holds("delete is red", colour == "rgb(179, 38, 30)", colour)
    button.click()
    page.wait_for_url("**/console/keys?done=deleted")
    holds("a deleted key leaves the list", two not in page.content())
    for label, act in [("thumbnailer, staging", "Suspend"), ("log shipper", "Make the new key")]:
        page.goto(server.url + "/console/keys")
        page.get_by_role("link", name=label).click()
        if act != "Suspend":
            page.locator("summary", has_text="Rotate").click()
        page.get_by_role("button", name=act).click()
    holds("a rotation shows the new secret once", page.locator("#made-secret").count() == 1)
    page.goto(server.url + "/console/keys")
    statuses = page.locator("tbody .pill").all_inner_texts()
    holds("each status has its word", {"Active", "Suspended", "Rotating"} <= set(statuses), statuses)
    return every


def investigation(page, server, leaked, screenshots):
    page.goto(f"{server.url}/console/keys/{leaked}")
    page.locator("summary", has_text="Revoke").click()
    page.get_by_role("button", name="Revoke this key").click()
    page.get_by_role("link", name="Investigate").click()
    text = page.locator("main").inner_text()
    holds("what it made is told", "svc-monitor" in text and "alive" in text, text)
    holds("the picture is drawn", page.locator("figure svg rect").count() > 1)
    if screenshots:
        picture(page, screenshots, "investigation", 1470)
    pdf = page.pdf(format="A4")
    if folder := os.environ.get("CONSOLE_PICTURES"):
        with open(os.path.join(folder, "investigation.pdf"), "wb") as printed:
            printed.write(pdf)
    holds("it prints", len(pdf) > 10_000, len(pdf))


def picture(page, screenshots, name, height):
    page.set_viewport_size({"width": 1280, "height": height})
    page.screenshot(path=os.path.join(screenshots, f"console-{name}.png"), animations="disabled")
    page.set_viewport_size({"width": 1280, "height": 860})


def every_page(key, leaked):
    return ["/console/keys", "/console/keys/new", f"/console/keys/{key}", f"/console/keys/{leaked}/investigation", "/console/usage",
            "/console/policies", "/console/policies/new", "/console/policies/deploy", "/console/simulate", "/console/audit",
            "/console/rotation", "/console/health", f"/console/keys/{OUTSIDE}"]


def fits_a_phone(browser, state, server, paths):
    context = browser.new_context(viewport=PHONE, storage_state=state, is_mobile=True, has_touch=True)
    page = context.new_page()
    for path in ["/console/sign-in", *paths]:
        page.goto(server.url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        holds(f"{path} has no horizontal scroll at {PHONE['width']} px", wide <= PHONE["width"], wide)
        kept(page, "phone", path)
    context.close()


def kept(page, kind, path):
    """A picture of each page, for whoever works on them."""
    if folder := os.environ.get("CONSOLE_PICTURES"):
        page.screenshot(path=os.path.join(folder, f"{kind}{path.replace('/', '-')}.png"), full_page=True, animations="disabled")


def works_without_script(browser, state, server):
    context = browser.new_context(storage_state=state, java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url + "/console/keys/new")
    page.get_by_label("Label").fill("made without JavaScript")
    page.get_by_label("logs", exact=True).select_option("ReadOnly")
    page.get_by_role("button", name="Create access key").click()
    key = page.locator("#made-id").inner_text()
    page.goto(f"{server.url}/console/keys/{key}")
    page.locator("summary", has_text="Delete").click()
    page.locator("#confirm").fill(key)
    page.get_by_role("button", name="Delete this key").click()
    holds("a key is made and deleted without JavaScript", page.url.endswith("?done=deleted"), page.url)
    context.close()


def is_accessible(browser, state, server, paths, axe):
    for scheme in ("light", "dark"):
        context = browser.new_context(storage_state=state, bypass_csp=True, color_scheme=scheme, viewport={"width": 1280, "height": 860})
        page = context.new_page()
        for path in ["/console/sign-in", *paths]:
            page.goto(server.url + path)
            kept(page, scheme, path)
            page.add_script_tag(path=axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            said = [(it["id"], it["nodes"][0]["html"], it["nodes"][0]["failureSummary"]) for it in found]
            holds(f"axe finds nothing in {path}, {scheme}", not found, said)
        context.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--screenshots", metavar="FOLDER")
    screenshots = parser.parse_args().screenshots
    if screenshots:
        screenshots = os.path.abspath(screenshots)
        os.makedirs(screenshots, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Served(folder, more_args=["--s3-listen", "127.0.0.1:0", "--s3-root", os.path.join(folder, "objects")])
        try:
            server.start()
            server.stop()
            for bucket in BUCKETS:
                server.cli("bucket", "register", bucket)
            server.start()
            # Registered, and not yet there: whoever may makes them.
            for bucket in ("billing-exports", "logs"):
                config = Config(s3={"addressing_style": "path"})
                boto3.client("s3", endpoint_url=server.s3, region_name="us-east-1", aws_access_key_id=server.root[0],
                             aws_secret_access_key=server.root[1], config=config).create_bucket(Bucket=bucket)
            leaked = story(server, 2 if screenshots else 0)
            # What was counted is written at the latest when the server stops.
            server.stop()
            import_records(server, folder, leaked)
            server.start()
            browser = playwright.chromium.launch(executable_path=os.environ.get("CHROMIUM"), args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 1280, "height": 860})
            page = context.new_page()
            problems = []
            page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            sign_in(page, server)
            key = keys(page, server, screenshots)
            investigation(page, server, leaked, screenshots)
            imported(page, server, leaked)
            verify(page, server)
            if screenshots:
                page.goto(server.url + "/console/keys")
                picture(page, screenshots, "keys", 940)
            paths = every_page(key, leaked)
            for path in paths:
                page.goto(server.url + path)
            # The browser says so of the sign-in that was meant to fail.
            problems = [problem for problem in problems if "403" not in problem]
            holds("the browser has nothing to complain of: no style, script or load against the policy", not problems, problems)
            state = context.storage_state()
            fits_a_phone(browser, state, server, paths)
            works_without_script(browser, state, server)
            axe = os.environ.get("AXE")
            if axe:
                is_accessible(browser, state, server, paths, axe)
            page.goto(server.url + "/console/keys")
            page.get_by_role("button", name="Sign out").click()
            page.goto(server.url + "/console/keys")
            holds("signing out ends the session", page.url.endswith("/console/sign-in"), page.url)
            browser.close()
            server.stop()
        finally:
            if server.process:
                server.kill()
    print(f"console: {holds.held} claims held" + ("" if axe else " (axe-core is not there)"))


main()
