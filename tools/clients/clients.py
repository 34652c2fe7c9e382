"""The four clients behind one face: each operation gives what it read, or raises `Refused` with what the client said.

Not here: what is expected of them.
"""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

warnings.filterwarnings("ignore")


class Refused(Exception):
    """What the client said: for boto3 the error's code, for the others their output."""


def boto(node, key, region="us-east-1", verify=None, **config):
    settings = dict(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    settings.update(config)
    return boto3.client("s3", endpoint_url=node.url, aws_access_key_id=key.id, aws_secret_access_key=key.secret,
                        region_name=region, verify=verify, config=Config(**settings))


def code(call, *args, **kwargs):
    """`ok`, or the status and code of a boto3 call."""
    try:
        call(*args, **kwargs)
        return "ok"
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Code']}"


class Program:
    """A client that is a program. Its HOME is a folder of the test's."""

    name = ""

    def __init__(self, world, node, key):
        self.world, self.node, self.key = world, node, key
        self.home = Path(world.dir) / f"home-{self.name}-{key.id}-{node.host.replace(':', '-')}"
        self.home.mkdir(exist_ok=True)
        self.configure()

    def configure(self):
        pass

    def environment(self):
        return {}

    def run(self, command):
        env = dict(os.environ, HOME=str(self.home), **self.environment())
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, env=env)
        if done.returncode != 0:
            raise Refused(done.stderr + done.stdout)
        return done.stdout


class AwsCli(Program):
    name = "aws cli"

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": self.key.id, "AWS_SECRET_ACCESS_KEY": self.key.secret, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_MAX_ATTEMPTS": "1", "AWS_PAGER": ""}

    def aws(self, *args):
        program = Path(sys.executable).parent / "aws"
        extra = [] if self.node.url.startswith("http:") else ["--no-verify-ssl"]
        return self.run([sys.executable, program, "--endpoint-url", self.node.url, *extra, *args])

    def put(self, bucket, name, file):
        self.aws("s3", "cp", file, f"s3://{bucket}/{name}")

    def get(self, bucket, name, file):
        self.aws("s3", "cp", f"s3://{bucket}/{name}", file)

    def names(self, bucket):
        listed = self.aws("s3api", "list-objects-v2", "--bucket", bucket, "--output", "json")
        return sorted(item["Key"] for item in json.loads(listed or "{}").get("Contents", []))

    def copy(self, bucket, name, to):
        self.aws("s3", "cp", f"s3://{bucket}/{name}", f"s3://{bucket}/{to}")

    def delete(self, bucket, name):
        self.aws("s3", "rm", f"s3://{bucket}/{name}")


class Rclone(Program):
    name = "rclone"

    def configure(self):
        (self.home / "rclone.conf").write_text(
            f"[s]\ntype = s3\nprovider = Other\naccess_key_id = {self.key.id}\nsecret_access_key = {self.key.secret}\n"
            f"endpoint = {self.node.url}\nregion = us-east-1\nforce_path_style = true\nno_check_bucket = true\n")

    def rclone(self, *args):
        # Headers are dumped to stderr: a HEAD that was refused is reported as a source that is not there.
        return self.run(["rclone", "--config", self.home / "rclone.conf", "--retries", "1", "--low-level-retries", "1",
                         "--no-check-certificate", "--dump", "headers", *args])

    def put(self, bucket, name, file):
        self.rclone("copyto", file, f"s:{bucket}/{name}")

    def get(self, bucket, name, file):
        self.rclone("copyto", f"s:{bucket}/{name}", file)

    def names(self, bucket):
        return sorted(self.rclone("lsf", "-R", "--files-only", f"s:{bucket}").splitlines())

    def copy(self, bucket, name, to):
        self.rclone("copyto", f"s:{bucket}/{name}", f"s:{bucket}/{to}")

    def delete(self, bucket, name):
        self.rclone("deletefile", f"s:{bucket}/{name}")


class S3cmd(Program):
    name = "s3cmd"

    def configure(self):
        tls = self.node.url.startswith("https:")
        (self.home / "s3cfg").write_text(
            f"[default]\naccess_key = {self.key.id}\nsecret_key = {self.key.secret}\nhost_base = {self.node.host}\n"
            f"host_bucket = {self.node.host}\nuse_https = {tls}\ncheck_ssl_certificate = False\nsignature_v2 = False\n"
            "bucket_location = us-east-1\nmax_retries = 1\n")

    def s3cmd(self, *args):
        return self.run(["s3cmd", "--config", self.home / "s3cfg", "--no-progress", *args])

    def put(self, bucket, name, file):
        self.s3cmd("put", file, f"s3://{bucket}/{name}")

    def get(self, bucket, name, file):
        self.s3cmd("get", "--force", f"s3://{bucket}/{name}", file)

    def names(self, bucket):
        lines = self.s3cmd("ls", "--recursive", f"s3://{bucket}").splitlines()
        return sorted(line.split(f"s3://{bucket}/", 1)[1] for line in lines)

    def copy(self, bucket, name, to):
        self.s3cmd("cp", f"s3://{bucket}/{name}", f"s3://{bucket}/{to}")

    def delete(self, bucket, name):
        self.s3cmd("del", f"s3://{bucket}/{name}")


class Boto(Program):
    """boto3, with the face of the programs."""

    name = "boto3"

    def configure(self):
        self.s3 = boto(self.node, self.key)

    def call(self, function, *args, **kwargs):
        try:
            return function(*args, **kwargs)
        except ClientError as error:
            raise Refused(f"{error.response['Error']['Code']} {error}") from error

    def put(self, bucket, name, file):
        self.call(self.s3.put_object, Bucket=bucket, Key=name, Body=Path(file).read_bytes())

    def get(self, bucket, name, file):
        Path(file).write_bytes(self.call(self.s3.get_object, Bucket=bucket, Key=name)["Body"].read())

    def names(self, bucket):
        return sorted(item["Key"] for item in self.call(self.s3.list_objects_v2, Bucket=bucket).get("Contents", []))

    def copy(self, bucket, name, to):
        self.call(self.s3.copy_object, Bucket=bucket, Key=to, CopySource={"Bucket": bucket, "Key": name})

    def delete(self, bucket, name):
        self.call(self.s3.delete_object, Bucket=bucket, Key=name)


ALL = [Boto, AwsCli, Rclone, S3cmd]


def said(call, *args):
    """`ok`, or what the client said."""
    try:
        call(*args)
        return "ok"
    except Refused as refused:
        return str(refused)
