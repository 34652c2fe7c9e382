"""Orgs side by side on one server, each with something of every kind: two of the operator's, `here` and `there`, and a provider's.

Not here: what one may know of another (across.py, across_native.py).
"""

import partner_client
from served import ALLOW_S3, Served

S3 = ("--s3-listen", "127.0.0.1:0", "--s3-root", "FOLDER/objects")
HERE, THERE = "111122223333", "444455556666"
PROVIDER = {"KEYLEDGER_PARTNER_PROVIDER": partner_client.PROVIDER, "KEYLEDGER_PARTNER_SIGNING_KEY": partner_client.KEY}


class TwoOrgs(Served):
    options, environment = S3, PROVIDER
    # Orgs are made by the operator, before they are served.
    prepare = [
        (("init", "--no-org"), None),
        (("org", "create", HERE, "--name", "here"), None), (("org", "create", THERE, "--name", "there"), None),
        (("key", "create", "--org", THERE, "--label", "root", "--grant", "*=Admin"), None),
    ]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        there = cls.there = cls.server.root
        cls.here = cls.root_of(HERE)
        # What is there, of every kind, made by its own root.
        iam = cls.server.client(key=there)
        iam.create_user(UserName="their-user")
        iam.create_group(GroupName="their-group")
        cls.policy = iam.create_policy(PolicyName="their-policy", PolicyDocument=ALLOW_S3)["Policy"]["Arn"]
        cls.key = iam.create_access_key(UserName="their-user")["AccessKey"]["AccessKeyId"]
        lightsail = cls.server.client("lightsail", key=there)
        lightsail.create_bucket(bucketName="their-bucket", bundleId="small_1_0")
        cls.bucket_key = lightsail.create_bucket_access_key(bucketName="their-bucket")["accessKey"]["accessKeyId"]
        cls.partner = partner_client.Client(cls.server.endpoint)
        made = cls.partner.ok("POST", "/orgs/tenant/key", {"user_id": "u", "name": "k", "user_role": "Admin"})
        cls.partner_key = made["id"]

    @classmethod
    def root_of(cls, account):
        """A key of an org itself, which only its operator makes."""
        cls.server.stop()
        [row] = cls.server.command("key", "create", "--org", account, "--label", "root", "--grant", "*=Admin")
        cls.server.start()
        return row["access_key_id"], row["secret_access_key"]

    def events(self, account=THERE):
        """What was changed there; what the other tests' keys did at the node is told later, and is no change."""
        return [row for row in self.server.command("audit", "log", "--org", account) if not row["kind"].endswith("-rolled-up")]
