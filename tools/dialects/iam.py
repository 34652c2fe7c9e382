"""AWS IAM: each action of the dialect, what it answers and what it refuses, by boto3 as it is. Not here: every declared error (iam_errors.py)."""

import csv
import io
import json
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from served import ACCOUNT, ALLOW_S3, ROOT, Cut, Served

FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"
READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions, resource="*", **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


class Keys(Served):
    def test_a_key_shows_its_secret_once_lives_dies_and_is_gone(self):
        self.iam.create_user(UserName="alice")
        made = self.iam.create_access_key(UserName="ALICE")["AccessKey"]
        self.assertEqual((made["UserName"], made["Status"], len(made["AccessKeyId"]), len(made["SecretAccessKey"])),
                         ("alice", "Active", 20, 40))
        self.assertLess(abs((datetime.now(timezone.utc) - made["CreateDate"]).total_seconds()), 60)
        listed = self.iam.list_access_keys(UserName="alice")
        self.assertEqual([key["AccessKeyId"] for key in listed["AccessKeyMetadata"]], [made["AccessKeyId"]])
        self.assertFalse(listed["IsTruncated"])
        self.assertNotIn("SecretAccessKey", listed["AccessKeyMetadata"][0])
        own = self.server.client(key=(made["AccessKeyId"], made["SecretAccessKey"]))
        message = self.error("AccessDenied", 403, own.get_user)
        self.assertEqual(message, f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: iam:GetUser on resource: "
                                  f"arn:aws:iam::{ACCOUNT}:user/alice because no identity-based policy allows the action")
        change = {"UserName": "alice", "AccessKeyId": made["AccessKeyId"]}
        self.iam.update_access_key(**change, Status="Inactive")
        self.iam.update_access_key(**change, Status="Inactive")
        self.error("InvalidClientTokenId", 403, own.get_user)
        self.assertEqual(self.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"][0]["Status"], "Inactive")
        self.iam.update_access_key(**change, Status="Active")
        self.error("AccessDenied", 403, own.get_user)
        self.refused("InvalidInputException", self.iam.update_access_key, **change, Status="Expired")
        self.error("ValidationError", 400, self.iam.update_access_key, **change, Status="Gone")
        self.iam.delete_access_key(**change)
        self.refused("NoSuchEntityException", self.iam.delete_access_key, **change)
        self.refused("NoSuchEntityException", self.iam.update_access_key, **change, Status="Active")
        self.error("InvalidClientTokenId", 403, own.get_user)
        self.assertEqual(self.iam.list_access_keys(UserName="alice")["AccessKeyMetadata"], [])

    def test_a_user_has_two_keys_however_many_ask_at_once(self):
        self.iam.create_user(UserName="two")
        def ask(_):
            try:
                return self.iam.create_access_key(UserName="two")["AccessKey"]["AccessKeyId"]
            except self.iam.exceptions.LimitExceededException as error:
                return error.response["Error"]["Message"]
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(ask, range(32)))
        refusals = [answer for answer in answers if " " in answer]
        self.assertEqual(len(answers) - len(refusals), 2)
        self.assertEqual(set(refusals), {"Cannot exceed quota for AccessKeysPerUser: 2"})
        key = self.iam.list_access_keys(UserName="two")["AccessKeyMetadata"][0]["AccessKeyId"]
        self.iam.update_access_key(UserName="two", AccessKeyId=key, Status="Inactive")
        self.refused("LimitExceededException", self.iam.create_access_key, UserName="two")

    def test_without_a_name_the_signer_is_meant(self):
        self.iam.create_user(UserName="self")
        mine = "arn:aws:iam::*:user/${aws:username}"
        self.iam.put_user_policy(UserName="self", PolicyName="own", PolicyDocument=document(
            allow("iam:*AccessKey*", "iam:GetUser", resource=mine)))
        key = self.key_of("self")
        own = self.server.client(key=key)
        self.assertEqual(own.get_user()["User"]["Arn"], f"arn:aws:iam::{ACCOUNT}:user/self")
        self.assertEqual([it["AccessKeyId"] for it in own.list_access_keys()["AccessKeyMetadata"]], [key[0]])
        second = own.create_access_key()["AccessKey"]
        self.assertEqual(second["UserName"], "self")
        own.update_access_key(AccessKeyId=second["AccessKeyId"], Status="Inactive")
        own.delete_access_key(AccessKeyId=second["AccessKeyId"])
        self.error("AccessDenied", 403, own.create_access_key, UserName="alice")
        self.error("AccessDenied", 403, own.create_access_key, UserName="nobody")
        self.error("AccessDenied", 403, own.delete_access_key, UserName="nobody", AccessKeyId=key[0])

    def test_the_root_is_the_account_and_has_two_keys(self):
        root = self.iam.get_user()["User"]
        self.assertEqual((root["Arn"], root["UserId"]), (ROOT, ACCOUNT))
        second = self.iam.create_access_key()["AccessKey"]
        self.refused("LimitExceededException", self.iam.create_access_key)
        other = self.server.client(key=(second["AccessKeyId"], second["SecretAccessKey"]))
        self.assertEqual(other.get_user()["User"]["Arn"], ROOT)
        self.assertEqual(len(self.iam.list_access_keys()["AccessKeyMetadata"]), 2)
        self.iam.delete_access_key(AccessKeyId=second["AccessKeyId"])

    def test_the_last_use_is_real_and_never_is_not_applicable(self):
        self.iam.create_user(UserName="used")
        self.iam.put_user_policy(UserName="used", PolicyName="p", PolicyDocument=document(allow("iam:GetUser")))
        key = self.key_of("used")
        never = self.iam.get_access_key_last_used(AccessKeyId=key[0])
        self.assertEqual(never["UserName"], "used")
        self.assertEqual(never["AccessKeyLastUsed"], {"ServiceName": "N/A", "Region": "N/A"})
        self.server.client(key=key).get_user()
        for _ in range(100):
            used = self.iam.get_access_key_last_used(AccessKeyId=key[0])["AccessKeyLastUsed"]
            if "LastUsedDate" in used:
                break
            time.sleep(0.1)
        self.assertEqual((used["ServiceName"], used["Region"]), ("iam", "us-east-1"))
        self.error("NoSuchEntity", 404, self.iam.get_access_key_last_used, AccessKeyId="AKIA0000000000000000")
        job = self.iam.generate_service_last_accessed_details(Arn=f"arn:aws:iam::{ACCOUNT}:user/used")["JobId"]
        details = self.iam.get_service_last_accessed_details(JobId=job)
        iam = [it for it in details["ServicesLastAccessed"] if it["ServiceNamespace"] == "iam"][0]
        self.assertEqual((details["JobStatus"], iam["LastAuthenticatedEntity"], iam["TotalAuthenticatedEntities"]),
                         ("COMPLETED", f"arn:aws:iam::{ACCOUNT}:user/used", 1))
        self.refused("NoSuchEntityException", self.iam.get_service_last_accessed_details, JobId="0" * 36)
        self.refused("NoSuchEntityException", self.iam.generate_service_last_accessed_details,
                     Arn=f"arn:aws:iam::{ACCOUNT}:user/nobody")

    def test_a_retry_of_a_call_makes_no_second_key_and_shows_no_secret_again(self):
        self.iam.create_user(UserName="retry")
        with Cut(self.server.endpoint) as cut:
            client = self.server.client(endpoint=cut.endpoint, retries={"total_max_attempts": 3, "mode": "standard"})
            message = self.error("EntityAlreadyExists", 409, client.create_access_key, UserName="retry")
            self.assertEqual(cut.replies_lost, 1)
        keys = self.iam.list_access_keys(UserName="retry")["AccessKeyMetadata"]
        self.assertEqual(len(keys), 1)
        self.assertIn(keys[0]["AccessKeyId"], message)
        self.assertNotIn(cut.lost.split("<SecretAccessKey>")[1].split("<")[0], message)
        with Cut(self.server.endpoint) as cut:
            client = self.server.client(endpoint=cut.endpoint, retries={"total_max_attempts": 3, "mode": "standard"})
            client.delete_access_key(UserName="retry", AccessKeyId=keys[0]["AccessKeyId"])
            self.assertEqual(cut.replies_lost, 1, "the retry of a delete that was done is no error")


class Users(Served):
    def test_a_user_is_made_found_moved_renamed_and_deleted(self):
        made = self.iam.create_user(UserName="bob", Path="/team/", Tags=[{"Key": "cost", "Value": "7"}])["User"]
        self.assertEqual((made["Path"], made["Arn"], made["UserId"][:4]),
                         ("/team/", f"arn:aws:iam::{ACCOUNT}:user/team/bob", "AIDA"))
        got = self.iam.get_user(UserName="BOB")["User"]
        self.assertEqual((got["UserId"], got["Tags"]), (made["UserId"], [{"Key": "cost", "Value": "7"}]))
        self.refused("EntityAlreadyExistsException", self.iam.create_user, UserName="Bob")
        self.error("ValidationError", 400, self.iam.create_user, UserName="a" * 65)
        self.error("ValidationError", 400, self.iam.create_user, UserName="a b")
        self.error("ValidationError", 400, self.iam.create_user, UserName="x", Path="team")
        self.refused("NoSuchEntityException", self.iam.create_user, UserName="x", PermissionsBoundary="arn:aws:iam::aws:policy/None")
        self.iam.update_user(UserName="bob", NewUserName="robert", NewPath="/")
        self.assertEqual(self.iam.get_user(UserName="robert")["User"]["UserId"], made["UserId"])
        self.refused("NoSuchEntityException", self.iam.get_user, UserName="bob")
        self.refused("NoSuchEntityException", self.iam.update_user, UserName="bob", NewPath="/a/")
        self.iam.create_user(UserName="carol")
        self.refused("EntityAlreadyExistsException", self.iam.update_user, UserName="robert", NewUserName="CAROL")
        self.assertEqual([user["UserName"] for user in self.iam.list_users(PathPrefix="/none/")["Users"]], [])
        self.iam.delete_user(UserName="robert")
        self.refused("NoSuchEntityException", self.iam.delete_user, UserName="robert")

    def test_what_hangs_on_a_user_keeps_it_from_being_deleted(self):
        self.iam.create_user(UserName="kept")
        self.iam.create_group(GroupName="keepers")
        delete = lambda: self.refused("DeleteConflictException", self.iam.delete_user, UserName="kept")["Error"]["Message"]
        key, _ = self.key_of("kept")
        self.iam.attach_user_policy(UserName="kept", PolicyArn=FULL)
        self.iam.put_user_policy(UserName="kept", PolicyName="p", PolicyDocument=ALLOW_S3)
        self.iam.add_user_to_group(UserName="kept", GroupName="keepers")
        self.assertIn("access keys", delete())
        self.iam.delete_access_key(UserName="kept", AccessKeyId=key)
        self.assertIn("detach", delete())
        self.iam.detach_user_policy(UserName="kept", PolicyArn=FULL)
        self.assertIn("delete policies", delete())
        self.iam.delete_user_policy(UserName="kept", PolicyName="p")
        self.assertIn("group", delete())
        self.refused("DeleteConflictException", self.iam.delete_group, GroupName="keepers")
        self.iam.remove_user_from_group(UserName="kept", GroupName="keepers")
        self.iam.delete_user(UserName="kept")
        self.iam.delete_group(GroupName="keepers")

    def test_tags_come_and_go_up_to_fifty(self):
        self.iam.create_user(UserName="tagged")
        self.iam.tag_user(UserName="tagged", Tags=[{"Key": f"k{n:02}", "Value": str(n)} for n in range(50)])
        self.refused("LimitExceededException", self.iam.tag_user, UserName="tagged", Tags=[{"Key": "more", "Value": ""}])
        pages = self.iam.get_paginator("list_user_tags").paginate(UserName="tagged", PaginationConfig={"PageSize": 7})
        self.assertEqual([tag["Key"] for page in pages for tag in page["Tags"]], [f"k{n:02}" for n in range(50)])
        self.iam.untag_user(UserName="tagged", TagKeys=[f"k{n:02}" for n in range(49)])
        self.assertEqual(self.iam.list_user_tags(UserName="tagged")["Tags"], [{"Key": "k49", "Value": "49"}])
        self.refused("NoSuchEntityException", self.iam.tag_user, UserName="nobody", Tags=[{"Key": "a", "Value": "b"}])
        self.refused("NoSuchEntityException", self.iam.untag_user, UserName="nobody", TagKeys=["a"])

    def test_a_boundary_is_set_shown_and_taken_away(self):
        arn = self.iam.create_policy(PolicyName="edge", PolicyDocument=ALLOW_S3)["Policy"]["Arn"]
        self.iam.create_user(UserName="bounded", PermissionsBoundary=arn)
        got = self.iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]
        self.assertEqual(got["PermissionsBoundaryArn"], arn)
        self.assertEqual(self.iam.get_policy(PolicyArn=arn)["Policy"]["PermissionsBoundaryUsageCount"], 1)
        self.refused("DeleteConflictException", self.iam.delete_policy, PolicyArn=arn)
        entities = self.iam.list_entities_for_policy(PolicyArn=arn, PolicyUsageFilter="PermissionsBoundary")
        self.assertEqual([it["UserName"] for it in entities["PolicyUsers"]], ["bounded"])
        self.iam.delete_user_permissions_boundary(UserName="bounded")
        self.iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=READ_ONLY)
        self.iam.delete_user_permissions_boundary(UserName="bounded")
        self.assertNotIn("PermissionsBoundary", self.iam.get_user(UserName="bounded")["User"])
        self.iam.delete_policy(PolicyArn=arn)
        self.refused("NoSuchEntityException", self.iam.put_user_permissions_boundary, UserName="nobody", PermissionsBoundary=FULL)

    def test_groups_have_members_and_policies(self):
        made = self.iam.create_group(GroupName="staff", Path="/a/")["Group"]
        self.assertEqual((made["Arn"], made["GroupId"][:4]), (f"arn:aws:iam::{ACCOUNT}:group/a/staff", "AGPA"))
        self.refused("EntityAlreadyExistsException", self.iam.create_group, GroupName="Staff")
        for name in ("m1", "m2", "m3"):
            self.iam.create_user(UserName=name)
            self.iam.add_user_to_group(GroupName="staff", UserName=name)
        self.iam.add_user_to_group(GroupName="staff", UserName="m1")
        pages = self.iam.get_paginator("get_group").paginate(GroupName="staff", PaginationConfig={"PageSize": 2})
        self.assertEqual([user["UserName"] for page in pages for user in page["Users"]], ["m1", "m2", "m3"])
        self.assertEqual([it["GroupName"] for it in self.iam.list_groups_for_user(UserName="m1")["Groups"]], ["staff"])
        self.iam.put_group_policy(GroupName="staff", PolicyName="p", PolicyDocument=document(allow("iam:GetUser")))
        self.assertEqual(self.iam.get_group_policy(GroupName="staff", PolicyName="p")["PolicyDocument"]["Statement"][0]["Action"], ["iam:GetUser"])
        self.assertEqual(self.iam.list_group_policies(GroupName="staff")["PolicyNames"], ["p"])
        own = self.server.client(key=self.key_of("m1"))
        self.assertEqual(own.get_user()["User"]["UserName"], "m1")
        self.iam.attach_group_policy(GroupName="staff", PolicyArn=FULL)
        self.assertEqual(self.iam.list_attached_group_policies(GroupName="staff")["AttachedPolicies"][0]["PolicyArn"], FULL)
        self.iam.detach_group_policy(GroupName="staff", PolicyArn=FULL)
        self.refused("NoSuchEntityException", self.iam.detach_group_policy, GroupName="staff", PolicyArn=FULL)
        self.iam.delete_group_policy(GroupName="staff", PolicyName="p")
        self.refused("NoSuchEntityException", self.iam.delete_group_policy, GroupName="staff", PolicyName="p")
        self.refused("NoSuchEntityException", self.iam.get_group, GroupName="nobody")
        self.refused("NoSuchEntityException", self.iam.add_user_to_group, GroupName="staff", UserName="nobody")
        self.iam.update_group(GroupName="staff", NewGroupName="crew", NewPath="/")
        self.assertIn("crew", [it["GroupName"] for it in self.iam.list_groups()["Groups"]])
        self.refused("NoSuchEntityException", self.iam.update_group, GroupName="staff", NewPath="/")

    def test_an_account_has_one_alias(self):
        self.iam.create_account_alias(AccountAlias="acme-storage")
        self.assertEqual(self.iam.list_account_aliases()["AccountAliases"], ["acme-storage"])
        self.refused("NoSuchEntityException", self.iam.delete_account_alias, AccountAlias="other")
        self.error("ValidationError", 400, self.iam.create_account_alias, AccountAlias="-bad-")
        self.iam.delete_account_alias(AccountAlias="acme-storage")
        self.assertEqual(self.iam.list_account_aliases()["AccountAliases"], [])


class Policies(Served):
    def test_a_policy_has_five_versions_and_one_is_in_force(self):
        made = self.iam.create_policy(PolicyName="p", Path="/x/", Description="why", PolicyDocument=ALLOW_S3,
                                      Tags=[{"Key": "a", "Value": "b"}])["Policy"]
        arn = made["Arn"]
        self.assertEqual((arn, made["DefaultVersionId"], made["AttachmentCount"], made["PolicyId"][:4]),
                         (f"arn:aws:iam::{ACCOUNT}:policy/x/p", "v1", 0, "ANPA"))
        got = self.iam.get_policy(PolicyArn=arn)["Policy"]
        self.assertEqual((got["Description"], got["Tags"], got["IsAttachable"]), ("why", [{"Key": "a", "Value": "b"}], True))
        self.refused("EntityAlreadyExistsException", self.iam.create_policy, PolicyName="P", PolicyDocument=ALLOW_S3)
        self.refused("MalformedPolicyDocumentException", self.iam.create_policy, PolicyName="q", PolicyDocument="{}")
        self.refused("LimitExceededException", self.iam.create_policy, PolicyName="q", PolicyDocument=document(
            *[allow("s3:GetObject", resource=f"arn:aws:s3:::bucket-{n:04}/*") for n in range(100)]))
        second = document(allow("s3:Get*"))
        version = self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=second, SetAsDefault=True)["PolicyVersion"]
        self.assertEqual((version["VersionId"], version["IsDefaultVersion"]), ("v2", True))
        for _ in range(3):
            self.iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_S3)
        self.refused("LimitExceededException", self.iam.create_policy_version, PolicyArn=arn, PolicyDocument=ALLOW_S3)
        self.refused("MalformedPolicyDocumentException", self.iam.create_policy_version, PolicyArn=arn, PolicyDocument="[")
        pages = self.iam.get_paginator("list_policy_versions").paginate(PolicyArn=arn, PaginationConfig={"PageSize": 2})
        self.assertEqual([it["VersionId"] for page in pages for it in page["Versions"]], ["v5", "v4", "v3", "v2", "v1"])
        self.assertEqual(self.iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"], json.loads(second))
        self.iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        self.refused("DeleteConflictException", self.iam.delete_policy_version, PolicyArn=arn, VersionId="v1")
        self.iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        self.refused("NoSuchEntityException", self.iam.get_policy_version, PolicyArn=arn, VersionId="v2")
        self.refused("NoSuchEntityException", self.iam.set_default_policy_version, PolicyArn=arn, VersionId="v2")
        self.refused("DeleteConflictException", self.iam.delete_policy, PolicyArn=arn)
        for version in ("v3", "v4", "v5"):
            self.iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        self.iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "c", "Value": ""}])
        self.iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
        self.assertEqual(self.iam.list_policy_tags(PolicyArn=arn)["Tags"], [{"Key": "c", "Value": ""}])
        self.iam.delete_policy(PolicyArn=arn)
        self.refused("NoSuchEntityException", self.iam.delete_policy, PolicyArn=arn)
        self.refused("NoSuchEntityException", self.iam.get_policy, PolicyArn=arn)
        self.refused("InvalidInputException", self.iam.get_policy, PolicyArn="this is no ARN at all")

    def test_policies_are_attached_listed_by_scope_and_kept_while_they_are(self):
        arns = [self.iam.create_policy(PolicyName=f"many{n:02}", PolicyDocument=ALLOW_S3)["Policy"]["Arn"] for n in range(11)]
        self.iam.create_user(UserName="holder")
        for arn in arns[:10]:
            self.iam.attach_user_policy(UserName="holder", PolicyArn=arn)
        self.iam.attach_user_policy(UserName="holder", PolicyArn=arns[0])
        self.refused("LimitExceededException", self.iam.attach_user_policy, UserName="holder", PolicyArn=arns[10])
        self.refused("NoSuchEntityException", self.iam.attach_user_policy, UserName="holder", PolicyArn=arns[0] + "x")
        pages = self.iam.get_paginator("list_attached_user_policies").paginate(UserName="holder", PaginationConfig={"PageSize": 3})
        self.assertEqual([it["PolicyArn"] for page in pages for it in page["AttachedPolicies"]], arns[:10])
        self.refused("DeleteConflictException", self.iam.delete_policy, PolicyArn=arns[0])
        entities = self.iam.list_entities_for_policy(PolicyArn=arns[0])
        self.assertEqual(([it["UserName"] for it in entities["PolicyUsers"]], entities["PolicyGroups"], entities["PolicyRoles"]),
                         (["holder"], [], []))
        names = lambda **scope: [it["PolicyName"] for it in self.iam.get_paginator("list_policies").paginate(
            PaginationConfig={"PageSize": 4}, **scope).build_full_result()["Policies"]]
        self.assertEqual(names(Scope="AWS"), ["AmazonS3FullAccess", "AmazonS3ReadOnlyAccess"])
        self.assertEqual([name for name in names(Scope="Local") if name.startswith("many")], [f"many{n:02}" for n in range(11)])
        self.assertEqual(names(OnlyAttached=True), [f"many{n:02}" for n in range(10)])
        self.assertEqual(set(names(Scope="Local") + names(Scope="AWS")), set(names()))
        self.iam.detach_user_policy(UserName="holder", PolicyArn=arns[0])
        self.refused("NoSuchEntityException", self.iam.detach_user_policy, UserName="holder", PolicyArn=arns[0])
        self.error("AccessDenied", 403, self.iam.delete_policy, PolicyArn=FULL)
        self.assertEqual(self.iam.get_policy_version(PolicyArn=FULL, VersionId="v1")["PolicyVersion"]["IsDefaultVersion"], True)

    def test_inline_policies_come_back_as_they_were_put(self):
        self.iam.create_user(UserName="inline")
        text = document(allow("s3:GetObject", resource="arn:aws:s3:::bucket/ä ?&*%"))
        self.iam.put_user_policy(UserName="inline", PolicyName="p", PolicyDocument=text)
        got = self.iam.get_user_policy(UserName="inline", PolicyName="p")
        self.assertEqual((got["UserName"], got["PolicyName"], got["PolicyDocument"]), ("inline", "p", json.loads(text)))
        self.assertEqual(self.iam.list_user_policies(UserName="inline")["PolicyNames"], ["p"])
        self.refused("MalformedPolicyDocumentException", self.iam.put_user_policy, UserName="inline", PolicyName="q", PolicyDocument="x")
        long = document(*[allow("s3:GetObject", resource=f"arn:aws:s3:::bucket-{n:04}/*") for n in range(30)])
        self.refused("LimitExceededException", self.iam.put_user_policy, UserName="inline", PolicyName="q", PolicyDocument=long)
        self.refused("NoSuchEntityException", self.iam.put_user_policy, UserName="nobody", PolicyName="q", PolicyDocument=text)
        self.iam.delete_user_policy(UserName="inline", PolicyName="p")
        self.refused("NoSuchEntityException", self.iam.get_user_policy, UserName="inline", PolicyName="p")
        self.refused("NoSuchEntityException", self.iam.delete_user_policy, UserName="inline", PolicyName="p")


class Reports(Served):
    def test_the_credential_report_says_what_is_so(self):
        self.refused("CredentialReportNotPresentException", self.iam.get_credential_report)
        self.iam.create_user(UserName="in,report")
        self.iam.create_user(UserName="plain")
        key, _ = self.key_of("plain")
        self.assertEqual(self.iam.generate_credential_report()["State"], "STARTED")
        report = self.iam.get_credential_report()
        self.assertEqual(report["ReportFormat"], "text/csv")
        rows = {row["user"]: row for row in csv.DictReader(io.StringIO(report["Content"].decode()))}
        self.assertEqual(set(rows), {"<root_account>", *(user["UserName"] for user in self.iam.list_users()["Users"])})
        self.assertIn("in,report", rows)
        self.assertEqual((rows["plain"]["access_key_1_active"], rows["plain"]["access_key_2_active"]), ("true", "false"))
        self.assertEqual(rows["<root_account>"]["arn"], ROOT)
        self.iam.update_access_key(UserName="plain", AccessKeyId=key, Status="Inactive")
        self.assertEqual(self.iam.generate_credential_report()["State"], "COMPLETE")
        rows = list(csv.reader(io.StringIO(self.iam.get_credential_report()["Content"].decode())))
        self.assertEqual({len(row) for row in rows}, {22})
        self.assertEqual([row[8] for row in rows if row[0] == "plain"], ["false"])

    def test_the_summary_counts(self):
        before = self.iam.get_account_summary()["SummaryMap"]
        self.iam.create_user(UserName="counted")
        after = self.iam.get_account_summary()["SummaryMap"]
        self.assertEqual((after["Users"] - before["Users"], after["AccessKeysPerUserQuota"], after["UsersQuota"],
                          after["VersionsPerPolicyQuota"], after["AccountAccessKeysPresent"]), (1, 2, 5000, 5, 1))

    def test_authorization_details_hold_everything_that_gives_rights(self):
        arn = self.iam.create_policy(PolicyName="detail", PolicyDocument=ALLOW_S3)["Policy"]["Arn"]
        self.iam.create_user(UserName="detailed", Tags=[{"Key": "a", "Value": "b"}])
        self.iam.create_group(GroupName="detailers")
        self.iam.add_user_to_group(UserName="detailed", GroupName="detailers")
        self.iam.put_user_policy(UserName="detailed", PolicyName="own", PolicyDocument=ALLOW_S3)
        self.iam.attach_group_policy(GroupName="detailers", PolicyArn=arn)
        for size in (1, 3, 1000):
            pages = self.iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": size})
            whole = pages.build_full_result()
            user = [it for it in whole["UserDetailList"] if it["UserName"] == "detailed"]
            self.assertEqual(len(user), 1)
            self.assertEqual((user[0]["GroupList"], user[0]["UserPolicyList"][0]["PolicyDocument"], user[0]["Tags"]),
                             (["detailers"], json.loads(ALLOW_S3), [{"Key": "a", "Value": "b"}]))
            group = [it for it in whole["GroupDetailList"] if it["GroupName"] == "detailers"]
            self.assertEqual(group[0]["AttachedManagedPolicies"], [{"PolicyName": "detail", "PolicyArn": arn}])
            policy = [it for it in whole["Policies"] if it["Arn"] == arn]
            self.assertEqual(policy[0]["PolicyVersionList"][0]["Document"], json.loads(ALLOW_S3))
        only = self.iam.get_account_authorization_details(Filter=["AWSManagedPolicy"])
        self.assertEqual((only["UserDetailList"], len(only["Policies"])), ([], 2))
        self.error("ValidationError", 400, self.iam.get_account_authorization_details, Filter=["Everything"])


def sliced(text, statement):
    """What a statement's positions cut out of its policy's text."""
    lines = text.split("\n")
    start, end = statement["StartPosition"], statement["EndPosition"]
    if start["Line"] == end["Line"]:
        return lines[start["Line"] - 1][start["Column"] - 1:end["Column"] - 1]
    middle = lines[start["Line"]:end["Line"] - 1]
    return "\n".join([lines[start["Line"] - 1][start["Column"] - 1:], *middle, lines[end["Line"] - 1][:end["Column"] - 1]])


class Simulation(Served):
    def test_matched_statements_point_at_the_text_that_decided(self):
        text = ('{"Version": "2012-10-17",\n "Statement": [\n  {"Sid": "Reads", "Effect": "Allow",\n   "Action": "s3:Get*", "Resource": "*"},\n'
                '  {"Sid": "NotSecrets", "Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::vault/*"}]}')
        results = self.iam.simulate_custom_policy(
            PolicyInputList=[text], ActionNames=["s3:GetObject", "s3:PutObject"],
            ResourceArns=["arn:aws:s3:::open/a", "arn:aws:s3:::vault/b"])["EvaluationResults"]
        self.assertEqual([(it["EvalActionName"], it["EvalResourceName"], it["EvalDecision"]) for it in results], [
            ("s3:GetObject", "arn:aws:s3:::open/a", "allowed"), ("s3:GetObject", "arn:aws:s3:::vault/b", "explicitDeny"),
            ("s3:PutObject", "arn:aws:s3:::open/a", "implicitDeny"), ("s3:PutObject", "arn:aws:s3:::vault/b", "explicitDeny")])
        self.assertEqual(json.loads(sliced(text, results[0]["MatchedStatements"][0]))["Sid"], "Reads")
        self.assertEqual(json.loads(sliced(text, results[1]["MatchedStatements"][0]))["Sid"], "NotSecrets")
        self.assertEqual(results[1]["MatchedStatements"][0]["SourcePolicyId"], "PolicyInputList.1")
        self.assertEqual(results[2]["MatchedStatements"], [])

    def test_conditions_ask_for_context_and_say_what_is_missing(self):
        text = document(allow("s3:GetObject", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
        ask = lambda *entries: self.iam.simulate_custom_policy(
            PolicyInputList=[text], ActionNames=["s3:GetObject"], ContextEntries=list(entries))["EvaluationResults"][0]
        self.assertEqual((ask()["EvalDecision"], ask()["MissingContextValues"]), ("implicitDeny", ["aws:SourceIp"]))
        entry = lambda value: {"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip", "ContextKeyValues": [value]}
        self.assertEqual(ask(entry("10.1.2.3"))["EvalDecision"], "allowed")
        self.assertEqual(ask(entry("192.0.2.1"))["EvalDecision"], "implicitDeny")
        keys = self.iam.get_context_keys_for_custom_policy(PolicyInputList=[text, document(
            allow("s3:*", resource="arn:aws:s3:::home/${aws:username}/*"))])["ContextKeyNames"]
        self.assertEqual(sorted(keys), ["aws:SourceIp", "aws:username"])

    def test_a_principal_has_its_own_its_groups_and_what_its_boundary_leaves(self):
        self.iam.create_user(UserName="sim")
        self.iam.create_group(GroupName="sims")
        self.iam.add_user_to_group(UserName="sim", GroupName="sims")
        arn = f"arn:aws:iam::{ACCOUNT}:user/sim"
        ask = lambda action, **more: self.iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=[action], **more)["EvaluationResults"][0]
        self.assertEqual(ask("s3:GetObject")["EvalDecision"], "implicitDeny")
        self.iam.put_group_policy(GroupName="sims", PolicyName="reads", PolicyDocument=document(allow("s3:Get*")))
        self.iam.put_user_policy(UserName="sim", PolicyName="own", PolicyDocument=document(
            allow("s3:PutObject", resource="arn:aws:s3:::home/${aws:username}/*")))
        read = ask("s3:GetObject")
        self.assertEqual((read["EvalDecision"], read["MatchedStatements"][0]["SourcePolicyId"],
                          read["MatchedStatements"][0]["SourcePolicyType"]), ("allowed", "group_sims_reads", "group"))
        self.assertEqual(ask("s3:PutObject", ResourceArns=["arn:aws:s3:::home/sim/x"])["EvalDecision"], "allowed")
        self.assertEqual(ask("s3:PutObject", ResourceArns=["arn:aws:s3:::home/bob/x"])["EvalDecision"], "implicitDeny")
        excluded = [{"InlinePolicyIdentifier": {"PolicyName": "reads", "AttachmentType": "group", "AttachmentName": "sims"}}]
        self.assertEqual(ask("s3:GetObject", PolicyExclusionList=excluded)["EvalDecision"], "implicitDeny")
        self.assertEqual(ask("s3:DeleteObject", PolicyInputList=[ALLOW_S3])["EvalDecision"], "allowed")
        self.iam.put_user_permissions_boundary(UserName="sim", PermissionsBoundary=READ_ONLY)
        bounded = ask("s3:PutObject", ResourceArns=["arn:aws:s3:::home/sim/x"])
        self.assertEqual((bounded["EvalDecision"], bounded["PermissionsBoundaryDecisionDetail"]),
                         ("implicitDeny", {"AllowedByPermissionsBoundary": False}))
        self.assertEqual(sorted(self.iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]), ["aws:username"])
        self.refused("NoSuchEntityException", self.iam.simulate_principal_policy,
                     PolicySourceArn=arn + "x", ActionNames=["s3:GetObject"])
        self.refused("InvalidInputException", self.iam.simulate_principal_policy, PolicySourceArn=arn, ActionNames=["nonsense"])
        self.refused("InvalidInputException", self.iam.simulate_principal_policy, PolicySourceArn=arn,
                     ActionNames=["s3:GetObject"], PolicyInputList=["{}"])
        self.assertEqual(len(self.iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=arn, ActionNames=["s3:GetObject"], ResourceArns=[f"arn:aws:s3:::b/{n}" for n in range(25)],
            PaginationConfig={"PageSize": 4}).build_full_result()["EvaluationResults"]), 25)

    def test_as_of_a_past_moment_the_policies_of_then_answer(self):
        self.iam.create_user(UserName="past")
        arn = f"arn:aws:iam::{ACCOUNT}:user/past"
        self.iam.put_user_policy(UserName="past", PolicyName="p", PolicyDocument=ALLOW_S3)
        time.sleep(1.1)
        then = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        time.sleep(1.1)
        self.iam.delete_user_policy(UserName="past", PolicyName="p")
        entry = lambda value: [{"ContextKeyName": "keyledger:AsOf", "ContextKeyType": "date", "ContextKeyValues": [value]}]
        ask = lambda **more: self.iam.simulate_principal_policy(
            PolicySourceArn=arn, ActionNames=["s3:GetObject"], **more)["EvaluationResults"][0]["EvalDecision"]
        self.assertEqual(ask(), "implicitDeny")
        self.assertEqual(ask(ContextEntries=entry(then)), "allowed")
        self.refused("InvalidInputException", self.iam.simulate_principal_policy, PolicySourceArn=arn,
                     ActionNames=["s3:GetObject"], ContextEntries=entry("2999-01-01T00:00:00Z"))
        self.refused("NoSuchEntityException", self.iam.simulate_principal_policy, PolicySourceArn=arn,
                     ActionNames=["s3:GetObject"], ContextEntries=entry("2020-01-01T00:00:00Z"))


MANY = 2500
KEYS = "access_key_id,secret_access_key\n" + "".join(f"AKIA{n:016},{'s' * 30}{n:010}\n" for n in range(MANY))


class Pages(Served):
    """Pages over 2,500 keys and users while more are made."""

    prepare = [
        (("init",), None),
        (("org", "update", "--iam-keys-per-user", "10000"), None),
        (("user", "create", "many"), None),
        (("key", "create", "--label", "root", "--grant", "*=Admin"), None),
        (("import", "keys", "-", "--user", "many"), KEYS),
    ]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: cls.iam.create_user(UserName=f"u{n:04}"), range(MANY)))

    def while_more_are_made(self, make, page):
        """Runs `page` while `make` goes on; what it gave."""
        done, made = threading.Event(), []
        def go():
            while not done.is_set():
                made.append(make(len(made)))
        maker = threading.Thread(target=go)
        maker.start()
        try:
            return page(), made
        finally:
            done.set()
            maker.join()

    def test_no_key_is_left_out_and_none_comes_twice(self):
        before = {f"AKIA{n:016}" for n in range(MANY)}
        make = lambda _: self.iam.create_access_key(UserName="many")["AccessKey"]["AccessKeyId"]
        for size in (7, 1000):
            pages = self.iam.get_paginator("list_access_keys")
            walk = lambda: [it["AccessKeyId"] for page in pages.paginate(UserName="many", PaginationConfig={"PageSize": size})
                            for it in page["AccessKeyMetadata"]]
            seen, made = self.while_more_are_made(make, walk)
            self.assertEqual(len(seen), len(set(seen)), "none twice")
            self.assertEqual(before - set(seen), set(), "none left out")
            self.assertGreater(len(made), 0)
            before |= set(made)

    def test_pages_of_one_go_on_where_the_last_ended(self):
        def walk():
            seen, marker = [], {}
            for _ in range(150):
                page = self.iam.list_access_keys(UserName="many", MaxItems=1, **marker)
                seen += [it["AccessKeyId"] for it in page["AccessKeyMetadata"]]
                marker = {"Marker": page["Marker"]}
            return seen
        make = lambda _: self.iam.create_access_key(UserName="many")["AccessKey"]["AccessKeyId"]
        seen, _ = self.while_more_are_made(make, walk)
        first = [it["AccessKeyId"] for it in self.iam.list_access_keys(UserName="many", MaxItems=150)["AccessKeyMetadata"]]
        self.assertEqual(seen, first)

    def test_a_page_goes_on_behind_a_key_that_was_deleted_meanwhile(self):
        page = self.iam.list_access_keys(UserName="many", MaxItems=5)
        ids = [it["AccessKeyId"] for it in self.iam.list_access_keys(UserName="many", MaxItems=10)["AccessKeyMetadata"]]
        self.iam.create_user(UserName="victim-holder")
        page5 = page["AccessKeyMetadata"][-1]["AccessKeyId"]
        if page5.startswith("AKIA"):
            # Not one that the other tests count.
            rest = self.iam.list_access_keys(UserName="many", MaxItems=5, Marker=page["Marker"])["AccessKeyMetadata"]
            self.assertEqual([it["AccessKeyId"] for it in rest], ids[5:])
        self.error("ValidationError", 400, self.iam.list_access_keys, UserName="many", Marker="bm90L291cnM")
        self.error("ValidationError", 400, self.iam.list_access_keys, UserName="many", Marker="%%%")

    def test_no_user_is_left_out_and_none_comes_twice(self):
        before = {f"u{n:04}" for n in range(MANY)}
        for size in (7, 1000):
            make = lambda n: self.iam.create_user(UserName=f"{'am'[n % 2]}{size}-{n}")["User"]["UserName"]
            pages = self.iam.get_paginator("list_users")
            walk = lambda: [it["UserName"] for page in pages.paginate(PaginationConfig={"PageSize": size}) for it in page["Users"]]
            seen, made = self.while_more_are_made(make, walk)
            self.assertEqual(len(seen), len(set(seen)), "none twice")
            self.assertEqual(before - set(seen), set(), "none left out")
            before |= set(made)


if __name__ == "__main__":
    unittest.main()
