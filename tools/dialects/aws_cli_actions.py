"""Every action of AWS IAM that is served here, asked with success by the AWS CLI's own code, and every write again when its reply is lost.

It runs within this process to save its start: 63 starts of `aws` take a minute, this takes seconds.

Not here: what is refused, and `aws` as a program (aws_cli.py).
"""

import contextlib
import io
import json
import os
import unittest
from unittest import mock

from awscli.clidriver import create_clidriver
from botocore import xform_name

from served import ACCOUNT, ALLOW_S3, Cut, Served
from typed import operations_served

ARN = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"

# One after the other; POLICY, KEY and JOB are what earlier ones answered.
COMMANDS = f"""
    create-account-alias --account-alias cli-account
    list-account-aliases
    delete-account-alias --account-alias cli-account
    create-user --user-name ann --path /team/ --tags Key=a,Value=b
    get-user --user-name ann
    list-users --path-prefix /team/
    update-user --user-name ann --new-path /
    tag-user --user-name ann --tags Key=c,Value=d
    list-user-tags --user-name ann
    untag-user --user-name ann --tag-keys a c
    create-access-key --user-name ann
    list-access-keys --user-name ann
    update-access-key --user-name ann --access-key-id KEY --status Inactive
    get-access-key-last-used --access-key-id KEY
    create-policy --policy-name p --policy-document {ALLOW_S3}
    get-policy --policy-arn POLICY
    list-policies --scope Local
    create-policy-version --policy-arn POLICY --policy-document {ALLOW_S3}
    get-policy-version --policy-arn POLICY --version-id v2
    list-policy-versions --policy-arn POLICY
    set-default-policy-version --policy-arn POLICY --version-id v2
    delete-policy-version --policy-arn POLICY --version-id v1
    tag-policy --policy-arn POLICY --tags Key=a,Value=b
    list-policy-tags --policy-arn POLICY
    untag-policy --policy-arn POLICY --tag-keys a
    attach-user-policy --user-name ann --policy-arn POLICY
    list-attached-user-policies --user-name ann
    list-entities-for-policy --policy-arn POLICY
    put-user-policy --user-name ann --policy-name own --policy-document {ALLOW_S3}
    get-user-policy --user-name ann --policy-name own
    list-user-policies --user-name ann
    put-user-permissions-boundary --user-name ann --permissions-boundary {READ_ONLY}
    create-group --group-name staff
    get-group --group-name staff
    list-groups
    update-group --group-name staff --new-path /a/
    add-user-to-group --group-name staff --user-name ann
    list-groups-for-user --user-name ann
    attach-group-policy --group-name staff --policy-arn POLICY
    list-attached-group-policies --group-name staff
    put-group-policy --group-name staff --policy-name own --policy-document {ALLOW_S3}
    get-group-policy --group-name staff --policy-name own
    list-group-policies --group-name staff
    simulate-principal-policy --policy-source-arn {ARN}:user/ann --action-names s3:GetObject
    simulate-custom-policy --policy-input-list {ALLOW_S3} --action-names s3:GetObject
    get-context-keys-for-principal-policy --policy-source-arn {ARN}:user/ann
    get-context-keys-for-custom-policy --policy-input-list {ALLOW_S3}
    generate-service-last-accessed-details --arn {ARN}:user/ann
    get-service-last-accessed-details --job-id JOB
    generate-credential-report
    get-credential-report
    get-account-summary
    get-account-authorization-details
    delete-group-policy --group-name staff --policy-name own
    detach-group-policy --group-name staff --policy-arn POLICY
    remove-user-from-group --group-name staff --user-name ann
    delete-group --group-name staff
    delete-user-permissions-boundary --user-name ann
    delete-user-policy --user-name ann --policy-name own
    detach-user-policy --user-name ann --policy-arn POLICY
    delete-policy --policy-arn POLICY
    delete-access-key --user-name ann --access-key-id KEY
    delete-user --user-name ann
"""


class Actions(Served):
    driver = None

    def run_aws(self, endpoint, *arguments):
        """Runs what `aws` would; its exit code, what it printed and what it complained of."""
        id, secret = self.server.root
        environment = {
            "HOME": self.server.folder, "AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true", "AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "2", "PATH": os.environ["PATH"],
            # What the package sets to find its own data.
            "AWS_DATA_PATH": os.environ["AWS_DATA_PATH"],
        }
        out, error = io.StringIO(), io.StringIO()
        with mock.patch.dict(os.environ, environment, clear=True), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            # Made once, as what it reads of the models takes longer than all that it then does.
            type(self).driver = self.driver or create_clidriver()
            code = self.driver.main(["--endpoint-url", endpoint, "--output", "json", "iam", *arguments])
        return code, out.getvalue(), error.getvalue()

    def commands(self, ask):
        """Gives every command to `ask`, which answers with the JSON that was printed; the commands' names."""
        said = {"POLICY": "", "KEY": "", "JOB": ""}
        asked = []
        for line in COMMANDS.strip().splitlines():
            command, *arguments = line.split()
            with self.subTest(command):
                answer = ask(command, *[said.get(word, word) for word in arguments])
                said["POLICY"] = answer.get("Policy", {}).get("Arn", said["POLICY"])
                said["KEY"] = answer.get("AccessKey", {}).get("AccessKeyId", said["KEY"])
                said["JOB"] = answer.get("JobId", said["JOB"])
                asked.append(command)
        self.assertNotIn("ann", [user["UserName"] for user in self.iam.list_users()["Users"]], "the last command was done too")
        return asked

    def test_each_action_is_asked_with_success_and_none_is_left_out(self):
        def ask(*command):
            code, out, error = self.run_aws(self.server.endpoint, *command)
            self.assertEqual(code, 0, error)
            return json.loads(out or "{}")
        asked = self.commands(ask)
        self.iam.create_user(UserName="powerless")
        powerless = self.server.client(key=self.key_of("powerless"), parameter_validation=False)
        served = {xform_name(action, "-") for action in operations_served(powerless, "InvalidAction")}
        self.assertEqual(set(asked), served)
        self.assertEqual(len(asked), len(served), "each once")

    def test_each_write_whose_reply_is_lost_is_answered_again_by_what_was_done(self):
        def ask(command, *arguments):
            if command.split("-")[0] in ("get", "list", "simulate", "generate"):
                _, out, _ = self.run_aws(self.server.endpoint, command, *arguments)
                return json.loads(out)
            # The client waits before it asks again, which nobody needs to.
            with Cut(self.server.endpoint) as cut, mock.patch("time.sleep"):
                code, out, error = self.run_aws(cut.endpoint, command, *arguments)
            self.assertEqual(cut.replies_lost, 1)
            if command == "create-access-key":
                # All but a secret, which is shown once.
                self.assertIn("EntityAlreadyExists", error)
                [made] = self.iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
                self.assertIn(made["AccessKeyId"], error)
                return {"AccessKey": made}
            self.assertEqual(code, 0, error)
            return json.loads(out or "{}")
        self.commands(ask)


if __name__ == "__main__":
    unittest.main()
