"""Every error that AWS's own model declares of an action served here: raised as the client's typed exception, with the model's status.

What is declared is read from botocore, what is served is asked of the server: an error that is new in either, and neither provoked nor
explained here, fails. Not here: what the actions do (iam.py), and the errors that the model leaves out.
"""

import unittest
from concurrent.futures import ThreadPoolExecutor

from served import ACCOUNT, ALLOW_S3, Served
from typed import Twice, Typed, operations_served

OTHER = "210987654321"
USERS_MAX, GROUPS_MAX = 5000, 300

CHANGED = "ConcurrentModificationException"
CONFLICT = "DeleteConflictException"
EXISTS = "EntityAlreadyExistsException"
INPUT = "InvalidInputException"
LIMIT = "LimitExceededException"
MALFORMED = "MalformedPolicyDocumentException"
NONE = "NoSuchEntityException"


def policy(name):
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


NO_ARN = "this is no ARN of anything"
NO_USER, NO_GROUP, NO_POLICY = {"UserName": "nobody"}, {"GroupName": "nobody"}, {"PolicyArn": policy("none")}
BAD_POLICY = {"PolicyArn": NO_ARN}
NO_KEY = {"UserName": "plain", "AccessKeyId": "NQAKNEVERNEVERNEVER1"}
ATTACH = {"PolicyArn": policy("plain")}
TAG, TWO_EQUAL = [{"Key": "a", "Value": "b"}], [{"Key": "a", "Value": "b"}, {"Key": "a", "Value": "c"}]
INLINE = {"PolicyName": "p", "PolicyDocument": ALLOW_S3}
LONG = '{"Version":"2012-10-17","Statement":[%s]}' % ",".join(
    '{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket-%04d/*"}' % n for n in range(120))
ASKED = {"ActionNames": ["s3:GetObject"]}
NOBODY = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/nobody"}
PLAIN = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/plain"}

# How each error comes about: the arguments of a call, in the account that `Errors.setUpClass` makes.
PROVOKED = {
    "AddUserToGroup": {NONE: {"GroupName": "plain", **NO_USER}, LIMIT: {"GroupName": "g10", "UserName": "full"}},
    "AttachGroupPolicy": {NONE: {**NO_GROUP, **ATTACH}, LIMIT: {"GroupName": "full", **ATTACH}, INPUT: {"GroupName": "plain", **BAD_POLICY}},
    "AttachUserPolicy": {NONE: {**NO_USER, **ATTACH}, LIMIT: {"UserName": "full", **ATTACH}, INPUT: {"UserName": "plain", **BAD_POLICY}},
    "CreateAccessKey": {NONE: NO_USER, LIMIT: {"UserName": "full"}},
    "CreateAccountAlias": {EXISTS: {"AccountAlias": "taken-there"}, CHANGED: Twice({"AccountAlias": "ours"}, {"AccountAlias": "ours-too"})},
    "CreateGroup": {LIMIT: {"GroupName": "one-more"}, EXISTS: {"GroupName": "PLAIN"}},
    "CreatePolicy": {
        INPUT: {"PolicyName": "new", "PolicyDocument": ALLOW_S3, "Tags": TWO_EQUAL}, LIMIT: {"PolicyName": "new", "PolicyDocument": LONG},
        EXISTS: {"PolicyName": "Plain", "PolicyDocument": ALLOW_S3}, MALFORMED: {"PolicyName": "new", "PolicyDocument": "{}"},
        CHANGED: Twice({"PolicyName": "first", "PolicyDocument": ALLOW_S3}, {"PolicyName": "second", "PolicyDocument": ALLOW_S3}),
    },
    "CreatePolicyVersion": {
        NONE: {**NO_POLICY, "PolicyDocument": ALLOW_S3}, MALFORMED: {**ATTACH, "PolicyDocument": "["},
        INPUT: {**BAD_POLICY, "PolicyDocument": ALLOW_S3}, LIMIT: {"PolicyArn": policy("full"), "PolicyDocument": ALLOW_S3},
    },
    "CreateUser": {
        EXISTS: {"UserName": "PLAIN"}, INPUT: {"UserName": "new", "Tags": TWO_EQUAL},
        NONE: {"UserName": "new", "PermissionsBoundary": policy("none")},
        # The first of these is the last user that there may be.
        CHANGED: Twice({"UserName": "first"}, {"UserName": "second"}), LIMIT: {"UserName": "one-more"},
    },
    "DeleteAccessKey": {NONE: NO_KEY},
    "DeleteAccountAlias": {NONE: {"AccountAlias": "never"}, CHANGED: Twice({"AccountAlias": "now"}, {"AccountAlias": "now"}, by="CreateAccountAlias")},
    "DeleteGroup": {NONE: NO_GROUP, CONFLICT: {"GroupName": "full"}},
    "DeleteGroupPolicy": {NONE: {"GroupName": "plain", "PolicyName": "none"}},
    "DeletePolicy": {NONE: NO_POLICY, INPUT: BAD_POLICY, CONFLICT: {"PolicyArn": policy("full")}},
    "DeletePolicyVersion": {
        NONE: {**ATTACH, "VersionId": "v9"}, INPUT: {**BAD_POLICY, "VersionId": "v1"}, CONFLICT: {**ATTACH, "VersionId": "v1"},
    },
    "DeleteUser": {NONE: NO_USER, CONFLICT: {"UserName": "full"}, CHANGED: Twice({"UserName": "gone-1"}, {"UserName": "gone-2"})},
    "DeleteUserPermissionsBoundary": {NONE: NO_USER},
    "DeleteUserPolicy": {NONE: {"UserName": "plain", "PolicyName": "none"}},
    "DetachGroupPolicy": {NONE: {"GroupName": "plain", **ATTACH}, INPUT: {"GroupName": "plain", **BAD_POLICY}},
    "DetachUserPolicy": {NONE: {"UserName": "plain", **ATTACH}, INPUT: {"UserName": "plain", **BAD_POLICY}},
    "GenerateServiceLastAccessedDetails": {NONE: {"Arn": NOBODY["PolicySourceArn"]}, INPUT: {"Arn": NO_ARN}},
    "GetContextKeysForCustomPolicy": {INPUT: {"PolicyInputList": ["{}"]}},
    "GetContextKeysForPrincipalPolicy": {NONE: NOBODY, INPUT: {**PLAIN, "PolicyInputList": ["{}"]}},
    "GetCredentialReport": {"CredentialReportNotPresentException": {}},
    "GetGroup": {NONE: NO_GROUP},
    "GetGroupPolicy": {NONE: {"GroupName": "plain", "PolicyName": "none"}},
    "GetPolicy": {NONE: NO_POLICY, INPUT: BAD_POLICY},
    "GetPolicyVersion": {NONE: {**ATTACH, "VersionId": "v9"}, INPUT: {**BAD_POLICY, "VersionId": "v1"}},
    "GetServiceLastAccessedDetails": {NONE: {"JobId": "0" * 36}},
    "GetUser": {NONE: NO_USER},
    "GetUserPolicy": {NONE: {"UserName": "plain", "PolicyName": "none"}},
    "ListAccessKeys": {NONE: NO_USER},
    "ListAttachedGroupPolicies": {NONE: NO_GROUP},
    "ListAttachedUserPolicies": {NONE: NO_USER},
    "ListEntitiesForPolicy": {NONE: NO_POLICY, INPUT: BAD_POLICY},
    "ListGroupPolicies": {NONE: NO_GROUP},
    "ListGroupsForUser": {NONE: NO_USER},
    "ListPolicyTags": {NONE: NO_POLICY, INPUT: BAD_POLICY},
    "ListPolicyVersions": {NONE: NO_POLICY, INPUT: BAD_POLICY},
    "ListUserPolicies": {NONE: NO_USER},
    "ListUserTags": {NONE: NO_USER},
    "PutGroupPolicy": {
        LIMIT: {"GroupName": "plain", **INLINE, "PolicyDocument": LONG}, MALFORMED: {"GroupName": "plain", **INLINE, "PolicyDocument": "x"},
        NONE: {**NO_GROUP, **INLINE},
    },
    "PutUserPermissionsBoundary": {
        NONE: {"UserName": "plain", "PermissionsBoundary": policy("none")}, INPUT: {"UserName": "plain", "PermissionsBoundary": NO_ARN},
    },
    "PutUserPolicy": {
        LIMIT: {"UserName": "plain", **INLINE, "PolicyDocument": LONG}, MALFORMED: {"UserName": "plain", **INLINE, "PolicyDocument": "x"},
        NONE: {**NO_USER, **INLINE},
    },
    "RemoveUserFromGroup": {NONE: {"GroupName": "plain", "UserName": "plain"}},
    "SetDefaultPolicyVersion": {NONE: {**ATTACH, "VersionId": "v9"}, INPUT: {**BAD_POLICY, "VersionId": "v1"}},
    "SimulateCustomPolicy": {INPUT: {**ASKED, "PolicyInputList": ["{}"]}},
    "SimulatePrincipalPolicy": {NONE: {**ASKED, **NOBODY}, INPUT: {**ASKED, **PLAIN, "PolicyInputList": ["{}"]}},
    "TagPolicy": {
        NONE: {**NO_POLICY, "Tags": TAG}, LIMIT: {"PolicyArn": policy("full"), "Tags": TAG}, INPUT: {**ATTACH, "Tags": TWO_EQUAL},
        CHANGED: Twice({**ATTACH, "Tags": TAG}, {**ATTACH, "Tags": [{"Key": "c", "Value": "d"}]}),
    },
    "TagUser": {
        NONE: {**NO_USER, "Tags": TAG}, LIMIT: {"UserName": "full", "Tags": TAG}, INPUT: {"UserName": "plain", "Tags": TWO_EQUAL},
        CHANGED: Twice({"UserName": "plain", "Tags": TAG}, {"UserName": "plain", "Tags": [{"Key": "c", "Value": "d"}]}),
    },
    "UntagPolicy": {
        NONE: {**NO_POLICY, "TagKeys": ["a"]}, INPUT: {**BAD_POLICY, "TagKeys": ["a"]},
        CHANGED: Twice({**ATTACH, "TagKeys": ["a"]}, {**ATTACH, "TagKeys": ["c"]}),
    },
    "UntagUser": {NONE: {**NO_USER, "TagKeys": ["a"]}, CHANGED: Twice({"UserName": "plain", "TagKeys": ["a"]}, {"UserName": "plain", "TagKeys": ["c"]})},
    "UpdateAccessKey": {NONE: {**NO_KEY, "Status": "Active"}, INPUT: {"UserName": "full", "AccessKeyId": "KEY", "Status": "Expired"}},
    "UpdateGroup": {NONE: {**NO_GROUP, "NewPath": "/a/"}, EXISTS: {"GroupName": "plain", "NewGroupName": "FULL"}},
    "UpdateUser": {
        NONE: {**NO_USER, "NewPath": "/a/"}, EXISTS: {"UserName": "plain", "NewUserName": "FULL"},
        CHANGED: Twice({"UserName": "plain", "NewPath": "/a/"}, {"UserName": "plain", "NewPath": "/b/"}),
    },
}

# Errors that no client can bring about here, and why; an empty list stands for every action that declares the error.
NEVER = {
    ("ServiceFailureException", "It is the server's own fault alone: its disk failed under a write, which failing.py brings about once."): [],
    ("PolicyEvaluationException", "A document that parses is always evaluated to its end; one that does not parse is InvalidInput."): [],
    ("PolicyNotAttachableException", "Every policy of an account, and both of AWS that exist here, may be attached and be a boundary."): [],
    ("EntityTemporarilyUnmodifiableException", "A deleted user is gone at once, so there is no while in which its name is held back."): [],
    ("CredentialReportExpiredException", "A report is kept for four hours of a clock that no client can turn; tests/server.rs does."): [],
    ("CredentialReportNotReadyException", "A report is made within the call that asks for it."): [],
    (LIMIT, "What is taken away, renamed or chosen from what is there adds nothing that a quota counts."): [
        "DeleteAccessKey", "DeleteAccountAlias", "DeleteGroup", "DeleteGroupPolicy", "DeletePolicy", "DeletePolicyVersion", "DeleteUser",
        "DeleteUserPolicy", "DetachGroupPolicy", "DetachUserPolicy", "RemoveUserFromGroup", "SetDefaultPolicyVersion", "UpdateAccessKey",
        "UpdateGroup", "UpdateUser"],
    (LIMIT, "A new alias takes the place of the old one, as in AWS, and a report that of the one before."): [
        "CreateAccountAlias", "GenerateCredentialReport"],
    (NONE, "A new group refers to nothing that would have to be there."): ["CreateGroup"],
    (INPUT, "Its parameters have patterns, and what does not fit a pattern is ValidationError, as in AWS."): [
        "GetServiceLastAccessedDetails", "ListAttachedGroupPolicies", "ListAttachedUserPolicies"],
}


class Errors(Typed, Served):
    provoked, never = PROVOKED, NEVER
    prepare = [
        (("init", "--account-id", ACCOUNT), None),
        (("org", "create", OTHER, "--name", "other"), None), (("org", "update", OTHER, "--alias", "taken-there"), None),
        (("--org", ACCOUNT, "key", "create", "--label", "root", "--grant", "*=Admin"), None),
    ]

    @classmethod
    def setUpClass(cls):
        """An account that is full in every way, beside what is plain in it."""
        super().setUpClass()
        iam = cls.client = cls.iam
        for name in ("plain", "full", "gone-1", "gone-2"):
            iam.create_user(UserName=name)
        for name in ("plain", "full"):
            iam.create_group(GroupName=name)
            iam.create_policy(PolicyName=name, PolicyDocument=ALLOW_S3)
        keys = [iam.create_access_key(UserName="full")["AccessKey"]["AccessKeyId"] for _ in range(2)]
        cls.words = {"KEY": keys[0]}
        for n in range(GROUPS_MAX - 2):
            iam.create_group(GroupName=f"g{n}")
        for n in range(10):
            iam.create_policy(PolicyName=f"p{n}", PolicyDocument=ALLOW_S3)
            iam.add_user_to_group(GroupName=f"g{n}", UserName="full")
            iam.attach_user_policy(UserName="full", PolicyArn=policy(f"p{n}"))
            iam.attach_group_policy(GroupName="full", PolicyArn=policy(f"p{n}"))
        for _ in range(4):
            iam.create_policy_version(PolicyArn=policy("full"), PolicyDocument=ALLOW_S3)
        tags = [{"Key": f"k{n:02}", "Value": ""} for n in range(50)]
        iam.tag_user(UserName="full", Tags=tags)
        iam.tag_policy(PolicyArn=policy("full"), Tags=tags)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: iam.create_user(UserName=f"u{n}"), range(USERS_MAX - 5)))

    def served(self):
        return operations_served(self.server.client(key=self.key_of("plain"), parameter_validation=False), "InvalidAction")


if __name__ == "__main__":
    unittest.main()
