#!/usr/bin/env python3
"""Writes fixtures/cloudtrail: an invented incident at an invented company, as CloudTrail would have recorded it.

    python3 tools/make_cloudtrail_fixtures.py

The same bytes every time (fixed seed, no clock). fixtures/cloudtrail/README.md tells the story. Nothing here is copied
from real logs: the account is AWS's documentation account, addresses are those of RFC 5737.
"""
import gzip
import io
import json
import pathlib
import random
import shutil
import uuid
from datetime import datetime, timedelta, timezone

OUT = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "cloudtrail"
ACCOUNT = "111122223333"
HOME = "eu-west-1"
GLOBAL = "us-east-1"
dice = random.Random(20260314)
records = []

KEYS = {
    "ana": "AKIA4VQ2M3N8DKW5YAT7",
    "priya": "AKIA4VQ2B6G1XLP9FZS4",
    "ci-deploy": "AKIA4VQ2H7M9TX5RWLE3",
    "web-app": "AKIA4VQ2C2J7QNU4EVO6",
    "web-app/2": "AKIA4VQ2W8T5KHD3IRX0",
    "backup": "AKIA4VQ2L1S6OFG8MBC9",
    "backup/2": "AKIA4VQ2Y4Z0UJA7PDQ2",
    "reports": "AKIA4VQ2T7E3VNK5XGW1",
    "legacy-etl": "AKIA4VQ2F9R4CSM6HLJ8",
    # made by the intruder
    "svc-monitor": "AKIA4VQ2ZC8K1YJ6NQ0B",
    "reports/2": "AKIA4VQ2P5D3SGU7HVM1",
    "legacy-etl/2": "AKIA4VQ2R9F6BWX2KTE8",
}
LIGHTSAIL_KEY = "AKIA4VQ2N0X5IWE2RYU6"
SESSION_KEY = "ASIA4VQ2K6Q8DZT1JCF5"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/customer-export"

OFFICE = ["198.51.100.12", "198.51.100.17", "198.51.100.23"]
RUNNERS = ["203.0.113.20", "203.0.113.21"]
APP = ["198.51.100.140", "198.51.100.141"]
STORAGE = "198.51.100.200"
INTRUDER = "192.0.2.66"
INTRUDER_LATER = "192.0.2.150"

CLI = "aws-cli/2.15.30 Python/3.11.8 Linux/6.5.0-26-generic exe/x86_64.ubuntu.22 prompt/off command/{}"
BOTO_CI = "Boto3/1.34.51 md/Botocore#1.34.51 ua/2.0 os/linux#5.15.0-1053-aws md/arch#x86_64 lang/python#3.10.12"
BOTO_APP = "Boto3/1.34.84 md/Botocore#1.34.84 ua/2.0 os/linux#6.1.82 md/arch#aarch64 lang/python#3.12.2 exec-env/AWS_ECS_FARGATE"
RCLONE = "rclone/v1.66.0"
INTRUDER_CLI = "aws-cli/1.22.34 Python/3.10.12 Linux/6.6.9-amd64 botocore/1.27.84"
INTRUDER_SDK = "aws-sdk-go/1.44.332 (go1.21.5; linux; amd64) S3Manager"


def at(text):
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)


def fresh_uuid():
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def user_identity(name, key):
    return {
        "type": "IAMUser",
        "principalId": "AIDA" + uuid.uuid5(uuid.NAMESPACE_DNS, name).hex[:16].upper(),
        "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "userName": name,
    }


def role_identity(session, key, since):
    return {
        "type": "AssumedRole",
        "principalId": f"AROA4VQ2EXPORT00ROLE:{session}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/customer-export/{session}",
        "accountId": ACCOUNT,
        "accessKeyId": key,
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROA4VQ2EXPORT00ROLE",
                "arn": ROLE,
                "accountId": ACCOUNT,
                "userName": "customer-export",
            },
            "attributes": {"creationDate": since, "mfaAuthenticated": "false"},
        },
    }


def add(when, who, service, name, ip, agent, params=None, answer=None, read=False, error=None, region=GLOBAL,
        extra=None, data=False, resources=None):
    """`who` is a key of KEYS, or a whole identity."""
    identity = user_identity(who.split("/")[0], KEYS[who]) if isinstance(who, str) else who
    record = {
        "eventVersion": "1.09",
        "userIdentity": identity,
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": ip,
        "userAgent": f"[{agent}]" if data else agent,
    }
    if error:
        record["errorCode"], record["errorMessage"] = error
    record["requestParameters"] = params
    record["responseElements"] = answer
    if extra:
        record["additionalEventData"] = extra
    record["requestID"] = fresh_uuid()
    record["eventID"] = fresh_uuid()
    record["readOnly"] = read
    if resources:
        record["resources"] = resources
    record.update({
        "eventType": "AwsApiCall",
        "managementEvent": not data,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data" if data else "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": f"{service}.{region}.amazonaws.com" if region != GLOBAL else f"{service}.amazonaws.com",
        },
    })
    records.append(record)
    return record


def iam(when, who, name, params, answer=None, ip=None, agent=None, **more):
    verb = name[0].lower() + "".join(f"-{c.lower()}" if c.isupper() else c for c in name[1:])
    return add(when, who, "iam", name, ip or OFFICE[0], agent or CLI.format("iam." + verb), params, answer, **more)


def s3(when, who, name, bucket, key, ip, agent, size=0, read=True, error=None):
    into, out = (0, size) if read else (size, 0)
    params = {"bucketName": bucket, "Host": f"{bucket}.s3.{HOME}.amazonaws.com"}
    if key:
        params["key"] = key
    resources = [{"type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{bucket}", "accountId": ACCOUNT}]
    if key:
        resources.insert(0, {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"})
    extra = {"SignatureVersion": "SigV4", "CipherSuite": "TLS_AES_128_GCM_SHA256", "bytesTransferredIn": into,
             "AuthenticationMethod": "AuthHeader", "bytesTransferredOut": out}
    return add(when, who, "s3", name, ip, agent, params, None, read, error, HOME, extra, True, resources)


def answered_key(user, key, when):
    return {"accessKey": {"userName": user, "accessKeyId": key, "status": "Active",
                          "createDate": when.strftime("%b %-d, %Y %-I:%M:%S %p")}}


def create_user(when, by, name, **more):
    answer = {"user": {"path": "/", "userName": name, "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}",
                       "userId": user_identity(name, "")["principalId"],
                       "createDate": when.strftime("%b %-d, %Y %-I:%M:%S %p")}}
    params = {"userName": name}
    if "tags" in more:
        params["tags"] = more.pop("tags")
    iam(when, by, "CreateUser", params, answer, **more)


def create_key(when, by, user, key, **more):
    iam(when, by, "CreateAccessKey", {"userName": user}, answered_key(user, KEYS[key], when), **more)


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(actions, resource):
    return {"Effect": "Allow", "Action": actions, "Resource": resource}


DEPLOY = f"arn:aws:iam::{ACCOUNT}:policy/deploy"
DENIED = ("AccessDenied", "User: arn:aws:iam::{}:user/{} is not authorized to perform: {} because no identity-based "
                          "policy allows the {} action")


def denied(user, action):
    return (DENIED[0], DENIED[1].format(ACCOUNT, user, action, action))


def build_up():
    """2025: how the company came by its users and keys. ana and priya, and backup's first key, are older than this."""
    t = at("2025-08-01 09:12:10")
    create_user(t, "ana", "legacy-etl", tags=[{"key": "team", "value": "data"}])
    iam(t + timedelta(seconds=40), "ana", "PutUserPolicy",
        {"userName": "legacy-etl", "policyName": "etl", "policyDocument": document(allow(["s3:*"], "*"))})
    create_key(t + timedelta(seconds=75), "ana", "legacy-etl", "legacy-etl")

    t = at("2025-09-02 14:03:31")
    for bucket in ["corvid-deploy-artifacts", "corvid-tiles", "corvid-backups", "corvid-customer-exports"]:
        add(t, "ana", "s3", "CreateBucket", OFFICE[0], CLI.format("s3.mb"),
            {"bucketName": bucket, "Host": f"s3.{HOME}.amazonaws.com",
             "CreateBucketConfiguration": {"LocationConstraint": HOME}}, None, region=HOME)
        t += timedelta(seconds=9)
    create_user(t, "ana", "ci-deploy", tags=[{"key": "team", "value": "platform"}])
    text = document(allow(["s3:PutObject", "s3:GetObject", "s3:ListBucket"],
                          ["arn:aws:s3:::corvid-deploy-artifacts", "arn:aws:s3:::corvid-deploy-artifacts/*"]),
                    allow("sts:AssumeRole", ROLE))
    iam(t + timedelta(seconds=20), "ana", "CreatePolicy",
        {"policyName": "deploy", "policyDocument": text, "description": "what the pipelines may do"},
        {"policy": {"policyName": "deploy", "policyId": "ANPA4VQ2DEPLOY000001", "arn": DEPLOY, "path": "/",
                    "defaultVersionId": "v1", "attachmentCount": 0, "isAttachable": True}})
    iam(t + timedelta(seconds=31), "ana", "AttachUserPolicy", {"userName": "ci-deploy", "policyArn": DEPLOY})
    create_key(t + timedelta(seconds=44), "ana", "ci-deploy", "ci-deploy")

    t = at("2025-09-03 08:30:00")
    iam(t, "ana", "CreateGroup", {"groupName": "engineers"},
        {"group": {"path": "/", "groupName": "engineers", "groupId": "AGPA4VQ2ENGINEERS001",
                   "arn": f"arn:aws:iam::{ACCOUNT}:group/engineers"}})
    iam(t + timedelta(seconds=12), "ana", "AttachGroupPolicy",
        {"groupName": "engineers", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"})
    iam(t + timedelta(seconds=25), "ana", "AddUserToGroup", {"groupName": "engineers", "userName": "priya"})

    t = at("2025-10-15 10:20:00")
    create_user(t, "ana", "reports")
    iam(t + timedelta(seconds=15), "ana", "AttachUserPolicy",
        {"userName": "reports", "policyArn": "arn:aws:iam::aws:policy/AmazonAthenaFullAccess"})
    create_key(t + timedelta(seconds=33), "ana", "reports", "reports")
    t = at("2025-11-20 16:45:12")
    create_key(t, "ana", "backup", "backup/2")
    t = at("2025-12-01 11:00:05")
    create_user(t, "ana", "web-app")
    iam(t + timedelta(seconds=10), "ana", "PutUserPolicy",
        {"userName": "web-app", "policyName": "tiles",
         "policyDocument": document(allow("s3:GetObject", "arn:aws:s3:::corvid-tiles/*"))})
    create_key(t + timedelta(seconds=21), "ana", "web-app", "web-app")
    t = at("2026-01-12 13:05:00")
    add(t, "ana", "lightsail", "CreateBucket", OFFICE[1], CLI.format("lightsail.create-bucket"),
        {"bucketName": "corvid-press-kit", "bundleId": "small_1_0"}, {"bucket": {"name": "corvid-press-kit"}}, region=HOME)
    add(t + timedelta(seconds=50), "ana", "lightsail", "CreateBucketAccessKey", OFFICE[1],
        CLI.format("lightsail.create-bucket-access-key"), {"bucketName": "corvid-press-kit"},
        {"accessKey": {"accessKeyId": LIGHTSAIL_KEY, "secretAccessKey": "HIDDEN_DUE_TO_SECURITY_REASONS",
                       "status": "Active"}}, region=HOME)


def daily_life():
    """Six weeks of ordinary use, and one rotation done well."""
    for day in ["2025-10-06", "2025-10-20", "2025-11-03"]:
        t = at(f"{day} 03:00:07")
        s3(t, "legacy-etl", "GetObject", "corvid-tiles", f"export/{day}.parquet", STORAGE, BOTO_CI, 48_120_331)
        s3(t + timedelta(minutes=4), "legacy-etl", "PutObject", "corvid-tiles", f"etl/{day}.parquet", STORAGE, BOTO_CI,
           9_230_114, read=False)
    day = at("2026-02-02 00:00:00")
    rotated = at("2026-03-03 09:30:00")
    number = 400
    while day < at("2026-03-14 00:00:00"):
        name = day.strftime("%Y-%m-%d")
        t = day + timedelta(hours=2, seconds=dice.randrange(5, 55))
        s3(t, "backup", "PutObject", "corvid-backups", f"nightly/{name}.tar.zst", STORAGE, RCLONE,
           dice.randrange(3_100_000_000, 3_400_000_000), read=False)
        if day.weekday() == 6:
            s3(t + timedelta(hours=1), "backup/2", "PutObject", "corvid-backups", f"weekly/{name}.tar.zst", STORAGE,
               RCLONE, dice.randrange(9_100_000_000, 9_400_000_000), read=False)
        if day.weekday() < 5:
            number += dice.randrange(1, 4)
            t = day + timedelta(hours=dice.randrange(9, 17), minutes=dice.randrange(60), seconds=dice.randrange(60))
            runner = dice.choice(RUNNERS)
            s3(t, "ci-deploy", "ListObjects", "corvid-deploy-artifacts", None, runner, BOTO_CI)
            s3(t + timedelta(seconds=2), "ci-deploy", "PutObject", "corvid-deploy-artifacts", f"web/{number}.tar.gz",
               runner, BOTO_CI, dice.randrange(20_000_000, 24_000_000), read=False)
            for _ in range(2):
                t = day + timedelta(seconds=dice.randrange(86_000))
                key = "web-app/2" if t > rotated + timedelta(hours=5) else "web-app"
                s3(t, key, "GetObject", "corvid-tiles", f"z12/{dice.randrange(4096)}/{dice.randrange(4096)}.pbf",
                   dice.choice(APP), BOTO_APP, dice.randrange(4_000, 90_000))
        if day.weekday() == 1:
            t = day + timedelta(hours=10, minutes=dice.randrange(60))
            add(t, "ana", "sts", "GetCallerIdentity", OFFICE[0], CLI.format("sts.get-caller-identity"), read=True)
            iam(t + timedelta(minutes=1), "ana", "ListUsers", None, read=True)
        day += timedelta(days=1)
    create_key(rotated, "ana", "web-app", "web-app/2")
    old = {"userName": "web-app", "accessKeyId": KEYS["web-app"]}
    iam(rotated + timedelta(days=2), "ana", "UpdateAccessKey", {**old, "status": "Inactive"})
    iam(rotated + timedelta(days=6), "ana", "DeleteAccessKey", old)
    # The edit that made the leak worse than it had to be.
    text = document(allow(["s3:PutObject", "s3:GetObject", "s3:ListBucket"],
                          ["arn:aws:s3:::corvid-deploy-artifacts", "arn:aws:s3:::corvid-deploy-artifacts/*"]),
                    allow(["iam:CreateUser", "iam:CreateAccessKey", "iam:AttachUserPolicy"], "*"),
                    allow("sts:AssumeRole", ROLE))
    iam(at("2026-03-10 15:22:47"), "ana", "CreatePolicyVersion",
        {"policyArn": DEPLOY, "policyDocument": text, "setAsDefault": True},
        {"policyVersion": {"versionId": "v2", "isDefaultVersion": True}})


def intrusion():
    """Saturday, 14 March 2026: ci-deploy's key, from an address and an agent it never had."""
    t = at("2026-03-14 01:52:08")
    new = {"ip": INTRUDER, "agent": INTRUDER_CLI}

    def later(seconds):
        nonlocal t
        t += timedelta(seconds=seconds)
        return t

    add(t, "ci-deploy", "sts", "GetCallerIdentity", INTRUDER, INTRUDER_CLI, read=True)
    for name, params in [("ListUsers", None), ("ListRoles", None), ("GetAccountAuthorizationDetails", None),
                         ("ListAttachedUserPolicies", {"userName": "ci-deploy"}), ("ListAccessKeys", None),
                         ("GetAccountSummary", None), ("ListPolicies", {"scope": "Local"})]:
        iam(later(3), "ci-deploy", name, None, None, read=True, error=denied("ci-deploy", "iam:" + name), **new)
    add(later(6), "ci-deploy", "s3", "ListBuckets", INTRUDER, INTRUDER_CLI,
        {"Host": "s3.amazonaws.com"}, read=True, error=("AccessDenied", "Access Denied"), region=GLOBAL)
    for bucket in ["corvid-backups", "corvid-customer-exports", "corvid-tiles"]:
        s3(later(4), "ci-deploy", "ListObjects", bucket, None, INTRUDER, INTRUDER_CLI, error=("AccessDenied", "Access Denied"))
    for n in range(6):
        s3(later(2), "ci-deploy", "GetObject", "corvid-deploy-artifacts", f"web/{430 + n}.tar.gz", INTRUDER, INTRUDER_CLI,
           dice.randrange(20_000_000, 24_000_000))

    create_user(later(95), "ci-deploy", "svc-monitor", **new)
    iam(t, "ci-deploy", "AttachUserPolicy",
        {"userName": "svc-monitor", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, **new)
    create_key(t, "ci-deploy", "svc-monitor", "svc-monitor", **new)
    iam(later(22), "ci-deploy", "CreateAccessKey", {"userName": "backup"}, None,
        error=("LimitExceededException", "Cannot exceed quota for AccessKeysPerUser: 2"), **new)
    create_key(later(14), "ci-deploy", "reports", "reports/2", **new)
    iam(later(9), "ci-deploy", "CreateLoginProfile", {"userName": "ana"}, None,
        error=denied("ci-deploy", "iam:CreateLoginProfile"), **new)
    since = later(40)
    add(t, "ci-deploy", "sts", "AssumeRole", INTRUDER, INTRUDER_CLI,
        {"roleArn": ROLE, "roleSessionName": "export-7731", "durationSeconds": 3600},
        {"credentials": {"accessKeyId": SESSION_KEY, "sessionToken": "HIDDEN_DUE_TO_SECURITY_REASONS",
                         "expiration": (t + timedelta(hours=1)).strftime("%b %-d, %Y, %-I:%M:%S %p")},
         "assumedRoleUser": {"assumedRoleId": "AROA4VQ2EXPORT00ROLE:export-7731",
                             "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/customer-export/export-7731"}},
        read=False)
    session = role_identity("export-7731", SESSION_KEY, since.strftime("%Y-%m-%dT%H:%M:%SZ"))
    s3(later(5), session, "ListObjects", "corvid-customer-exports", None, INTRUDER, INTRUDER_SDK)
    for n in range(72):
        s3(later(dice.randrange(1, 4)), session, "GetObject", "corvid-customer-exports",
           f"2026/{1 + n % 2:02}/customer-{1000 + n}.csv.gz", INTRUDER, INTRUDER_SDK, dice.randrange(2_000_000, 60_000_000))

    add(later(120), "svc-monitor", "sts", "GetCallerIdentity", INTRUDER, INTRUDER_CLI, read=True)
    iam(later(7), "svc-monitor", "ListUsers", None, read=True, **new)
    iam(later(11), "svc-monitor", "ListAccessKeys", {"userName": "legacy-etl"}, read=True, **new)
    create_key(later(19), "svc-monitor", "legacy-etl", "legacy-etl/2", **new)
    add(later(30), "svc-monitor", "cloudtrail", "StopLogging", INTRUDER, INTRUDER_CLI,
        {"name": f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/main"}, region=HOME)
    s3(later(300), "legacy-etl/2", "ListObjects", "corvid-tiles", None, INTRUDER, INTRUDER_CLI)


def response():
    """priya finds two of the intruder's three keys."""
    t = at("2026-03-14 04:38:20")
    add(t, "priya", "cloudtrail", "StartLogging", OFFICE[2], CLI.format("cloudtrail.start-logging"),
        {"name": f"arn:aws:cloudtrail:{HOME}:{ACCOUNT}:trail/main"}, region=HOME)
    iam(t + timedelta(seconds=41), "priya", "UpdateAccessKey",
        {"userName": "ci-deploy", "accessKeyId": KEYS["ci-deploy"], "status": "Inactive"}, ip=OFFICE[2])
    iam(t + timedelta(minutes=6), "priya", "ListAccessKeys", {"userName": "svc-monitor"}, ip=OFFICE[2], read=True)
    iam(t + timedelta(minutes=7), "priya", "DeleteAccessKey",
        {"userName": "svc-monitor", "accessKeyId": KEYS["svc-monitor"]}, ip=OFFICE[2])
    iam(t + timedelta(minutes=7, seconds=20), "priya", "DetachUserPolicy",
        {"userName": "svc-monitor", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}, ip=OFFICE[2])
    iam(t + timedelta(minutes=7, seconds=20), "priya", "DeleteUser", {"userName": "svc-monitor"}, ip=OFFICE[2])
    iam(t + timedelta(minutes=19), "priya", "DeleteAccessKey",
        {"userName": "reports", "accessKeyId": KEYS["reports/2"]}, ip=OFFICE[2])
    iam(t + timedelta(minutes=31), "priya", "SetDefaultPolicyVersion", {"policyArn": DEPLOY, "versionId": "v1"}, ip=OFFICE[2])
    # The intruder notices.
    gone = ("InvalidClientTokenId", "The security token included in the request is invalid.")
    for minutes in [2, 3, 9, 40, 95]:
        add(t + timedelta(minutes=minutes), "ci-deploy", "sts", "GetCallerIdentity", INTRUDER, INTRUDER_CLI, read=True, error=gone)
    for minutes in [10, 11, 55]:
        s3(t + timedelta(minutes=minutes), "svc-monitor", "ListObjects", "corvid-backups", None, INTRUDER, INTRUDER_CLI,
           error=("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."))
    # The runners fail too, until ci-deploy gets a key that nobody has seen.
    s3(at("2026-03-14 07:14:02"), "ci-deploy", "PutObject", "corvid-deploy-artifacts", "web/471.tar.gz", RUNNERS[0], BOTO_CI,
       read=False, error=("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."))
    # And a day later, from elsewhere, the key that nobody found.
    t = at("2026-03-15 22:10:44")
    add(t, "legacy-etl/2", "sts", "GetCallerIdentity", INTRUDER_LATER, INTRUDER_CLI, read=True)
    for n in range(8):
        s3(t + timedelta(seconds=20 + n * 3), "legacy-etl/2", "GetObject", "corvid-backups", f"nightly/2026-03-{6 + n:02}.tar.zst",
           INTRUDER_LATER, INTRUDER_SDK, dice.randrange(3_100_000_000, 3_400_000_000))


def gz(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=9) as file:
        file.write(text.encode())
    path.write_bytes(packed.getvalue())


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def deliver():
    """As it comes to whoever investigates: the trail's files, an export of one night, and one look-up."""
    records.sort(key=lambda record: record["eventTime"])
    night = [r for r in records if "2026-03-14T04:00" <= r["eventTime"] < "2026-03-14T06:00"]
    files = {}
    for record in records:
        if record in night:
            continue
        when = record["eventTime"]
        period = when[:10] if when >= "2026-03-14" else when[:7]
        files.setdefault((record["awsRegion"], period), []).append(record)
    for (region, period), held in sorted(files.items()):
        # CloudTrail keeps no order within a file.
        dice.shuffle(held)
        last = max(record["eventTime"] for record in held)
        day = last[:10].split("-")
        stamp = last.replace("-", "").replace(":", "")[:13] + "Z"
        name = f"{ACCOUNT}_CloudTrail_{region}_{stamp}_{dice.getrandbits(64):016x}.json.gz"
        gz(OUT.joinpath("AWSLogs", ACCOUNT, "CloudTrail", region, *day, name), compact({"Records": held}))
    (OUT / "night-of-the-14th.jsonl").write_text("".join(compact(record) + "\n" for record in night))
    looked_up = [r for r in records if r["userIdentity"].get("accessKeyId") == KEYS["ci-deploy"]
                 and r["managementEvent"] and r["eventTime"] >= "2026-03-14"]
    events = [{
        "EventId": r["eventID"], "EventName": r["eventName"], "ReadOnly": str(r["readOnly"]).lower(),
        "AccessKeyId": KEYS["ci-deploy"], "EventTime": r["eventTime"].replace("Z", "+00:00"),
        "EventSource": r["eventSource"], "Username": "ci-deploy", "Resources": [], "CloudTrailEvent": compact(r),
    } for r in reversed(looked_up)]
    (OUT / "lookup-events.json").write_text(json.dumps({"Events": events}, indent=4) + "\n")
    print(f"{len(records)} records, {len(looked_up)} of them twice, in {len(files) + 2} files")


def main():
    for old in ["AWSLogs", "night-of-the-14th.jsonl", "lookup-events.json"]:
        path = OUT / old
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
    build_up()
    daily_life()
    intrusion()
    response()
    deliver()


if __name__ == "__main__":
    main()
