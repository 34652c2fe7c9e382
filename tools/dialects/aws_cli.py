"""The AWS CLI as it is, with --endpoint-url alone: a key's life, what is refused, and the history of both."""

import json
import os
import subprocess
import sys
import unittest

from served import ALLOW_S3, Served

AWS = os.path.join(os.path.dirname(sys.executable), "aws")


class Cli(Served):
    def aws(self, *arguments, key=None):
        """Runs `aws`; its exit code, the JSON it printed, and what it complained of."""
        id, secret = key or self.server.root
        environment = {
            "PATH": os.environ["PATH"], "HOME": self.server.folder, "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "AWS_MAX_ATTEMPTS": "1",
        }
        done = subprocess.run([AWS, "--endpoint-url", self.server.endpoint, "--output", "json", *arguments],
                              env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout.strip() else None, done.stderr

    def ok(self, *arguments, **more):
        code, answer, error = self.aws(*arguments, **more)
        self.assertEqual(code, 0, (arguments, error))
        return answer

    def no(self, error, *arguments, **more):
        code, answer, said = self.aws(*arguments, **more)
        # 255 of version 1, 254 of version 2.
        self.assertIn((code, answer), ((254, None), (255, None)), said)
        self.assertIn(f"An error occurred ({error})", said)
        return said

    def test_a_key_s_life_and_its_history(self):
        user = self.ok("iam", "create-user", "--user-name", "cli", "--tags", "Key=team,Value=storage")["User"]
        self.assertEqual((user["UserName"], user["Tags"]), ("cli", [{"Key": "team", "Value": "storage"}]))
        made = self.ok("iam", "create-access-key", "--user-name", "cli")["AccessKey"]
        key = (made["AccessKeyId"], made["SecretAccessKey"])
        listed = self.ok("iam", "list-access-keys", "--user-name", "cli")["AccessKeyMetadata"]
        self.assertEqual([(row["AccessKeyId"], row["Status"]) for row in listed], [(key[0], "Active")])
        self.assertNotIn(key[1], json.dumps(listed))
        self.no("AccessDenied", "iam", "list-users", key=key)
        policy = self.ok("iam", "create-policy", "--policy-name", "s3", "--policy-document", ALLOW_S3)["Policy"]["Arn"]
        self.ok("iam", "attach-user-policy", "--user-name", "cli", "--policy-arn", policy)
        decided = self.ok("iam", "simulate-principal-policy", "--policy-source-arn", user["Arn"], "--action-names", "s3:GetObject", "iam:ListUsers")
        self.assertEqual([(row["EvalActionName"], row["EvalDecision"]) for row in decided["EvaluationResults"]],
                         [("s3:GetObject", "allowed"), ("iam:ListUsers", "implicitDeny")])
        self.no("DeleteConflict", "iam", "delete-user", "--user-name", "cli")
        self.ok("iam", "update-access-key", "--user-name", "cli", "--access-key-id", key[0], "--status", "Inactive")
        self.no("InvalidClientTokenId", "iam", "list-users", key=key)
        self.ok("iam", "delete-access-key", "--user-name", "cli", "--access-key-id", key[0])
        self.no("NoSuchEntity", "iam", "delete-access-key", "--user-name", "cli", "--access-key-id", key[0])
        events = self.ok("cloudtrail", "lookup-events", "--lookup-attributes", f"AttributeKey=ResourceName,AttributeValue={key[0]}")["Events"]
        names = [event["EventName"] for event in events if event["EventSource"] == "iam.amazonaws.com"]
        self.assertEqual(names, ["DeleteAccessKey", "UpdateAccessKey", "CreateAccessKey"])

    def test_pages_are_gone_through(self):
        for number in range(12):
            self.iam.create_user(UserName=f"page-{number:02}")
        listed = self.ok("iam", "list-users", "--page-size", "5")["Users"]
        self.assertTrue({f"page-{number:02}" for number in range(12)} <= {row["UserName"] for row in listed})
        events = self.ok("cloudtrail", "lookup-events", "--max-items", "10", "--page-size", "3")["Events"]
        self.assertEqual(len({event["EventId"] for event in events}), 10)

    def test_lightsail(self):
        self.ok("lightsail", "create-bucket", "--bucket-name", "cli-bucket", "--bundle-id", "small_1_0")
        made = self.ok("lightsail", "create-bucket-access-key", "--bucket-name", "cli-bucket")["accessKey"]
        listed = self.ok("lightsail", "get-bucket-access-keys", "--bucket-name", "cli-bucket")["accessKeys"]
        self.assertEqual([row["accessKeyId"] for row in listed], [made["accessKeyId"]])
        self.ok("lightsail", "delete-bucket-access-key", "--bucket-name", "cli-bucket", "--access-key-id", made["accessKeyId"])
        self.no("NotFoundException", "lightsail", "get-bucket-access-keys", "--bucket-name", "no-bucket")


if __name__ == "__main__":
    unittest.main()
