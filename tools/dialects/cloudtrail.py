"""AWS CloudTrail's LookupEvents over the ledger's own history, by boto3 as it is."""

import datetime
import json
import unittest

from served import ACCOUNT, Served


class Lookup(Served):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.trail = cls.server.client("cloudtrail")
        iam = cls.iam
        iam.create_user(UserName="maker")
        iam.put_user_policy(UserName="maker", PolicyName="all", PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}}))
        made = iam.create_access_key(UserName="maker")["AccessKey"]
        cls.maker = (made["AccessKeyId"], made["SecretAccessKey"])
        own = cls.server.client(key=cls.maker)
        for number in range(60):
            own.create_user(UserName=f"made-{number:02}")
        cls.child = own.create_access_key(UserName="made-07")["AccessKey"]
        own.update_access_key(UserName="made-07", AccessKeyId=cls.child["AccessKeyId"], Status="Inactive")

    def look(self, client=None, **attributes):
        pages = (client or self.trail).get_paginator("lookup_events").paginate(
            LookupAttributes=[{"AttributeKey": key, "AttributeValue": value} for key, value in attributes.items()])
        return [event for page in pages for event in page["Events"]]

    def test_a_key_s_calls_are_found_newest_first_and_page_by_page(self):
        events = self.look(AccessKeyId=self.maker[0])
        self.assertEqual([it["EventName"] for it in events], ["UpdateAccessKey", "CreateAccessKey"] + ["CreateUser"] * 60)
        self.assertEqual(len({it["EventId"] for it in events}), 62)
        self.assertTrue(all(it["AccessKeyId"] == self.maker[0] and it["Username"] == "maker" for it in events))
        times = [it["EventTime"] for it in events]
        self.assertEqual(times, sorted(times, reverse=True))
        page = self.trail.lookup_events(MaxResults=7)
        self.assertEqual(len(page["Events"]), 7)
        # What is recorded between two pages moves nothing.
        self.iam.create_user(UserName="between")
        after = self.trail.lookup_events(MaxResults=50, NextToken=page["NextToken"])["Events"]
        self.assertFalse({it["EventId"] for it in page["Events"]} & {it["EventId"] for it in after})
        self.assertNotIn("between", [name["ResourceName"] for it in after for name in it["Resources"]])

    def test_each_attribute_narrows_and_all_must_hold(self):
        child = self.child["AccessKeyId"]
        self.assertEqual([it["EventName"] for it in self.look(ResourceName=child)], ["UpdateAccessKey", "CreateAccessKey"])
        self.assertEqual({it["EventName"] for it in self.look(EventName="CreateUser", Username="maker")}, {"CreateUser"})
        self.assertEqual(len(self.look(EventName="CreateUser", Username="maker")), 60)
        self.assertEqual(len(self.look(ResourceType="AWS::IAM::AccessKey", Username="maker")), 2)
        self.assertEqual({it["EventSource"] for it in self.look(EventSource="iam.amazonaws.com")}, {"iam.amazonaws.com"})
        self.assertEqual(self.look(ReadOnly="true"), [])
        self.assertEqual(len(self.look(ReadOnly="false", Username="maker")), 62)
        [made] = self.look(EventName="CreateAccessKey", AccessKeyId=self.maker[0])
        self.assertEqual(self.look(EventId=made["EventId"]), [made])
        self.assertEqual(self.look(EventId="00000000-0000-8000-8000-000000000000"), [])
        self.assertEqual(self.look(AccessKeyId="no key at all"), [])
        self.assertEqual(self.look(Username="made-07", EventName="CreateUser"), [])

    def test_a_record_is_as_cloudtrail_writes_it(self):
        [made] = self.look(EventName="CreateAccessKey", AccessKeyId=self.maker[0])
        record = json.loads(made["CloudTrailEvent"])
        identity = record["userIdentity"]
        self.assertEqual((identity["type"], identity["userName"], identity["accessKeyId"], identity["arn"], identity["accountId"]),
                         ("IAMUser", "maker", self.maker[0], f"arn:aws:iam::{ACCOUNT}:user/maker", ACCOUNT))
        self.assertEqual((record["eventName"], record["eventSource"], record["eventID"], record["recipientAccountId"]),
                         ("CreateAccessKey", "iam.amazonaws.com", made["EventId"], ACCOUNT))
        self.assertEqual(record["requestParameters"], {"userName": "made-07"})
        answered = record["responseElements"]["accessKey"]
        self.assertEqual((answered["accessKeyId"], answered["status"], answered["userName"]),
                         (self.child["AccessKeyId"], "Active", "made-07"))
        self.assertNotIn(self.child["SecretAccessKey"], made["CloudTrailEvent"])
        self.assertEqual(record["sourceIPAddress"], "127.0.0.1")
        self.assertIn("Boto3", record["userAgent"])
        self.assertEqual(datetime.datetime.fromisoformat(record["eventTime"]), made["EventTime"].replace(microsecond=0))

    def test_times_bound_what_is_found(self):
        [made] = self.look(EventName="CreateAccessKey", AccessKeyId=self.maker[0])
        second = datetime.timedelta(seconds=1)
        look = lambda **times: [it["EventId"] for it in self.trail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateAccessKey"}], **times)["Events"]]
        self.assertIn(made["EventId"], look(StartTime=made["EventTime"] - second, EndTime=made["EventTime"] + second))
        self.assertNotIn(made["EventId"], look(StartTime=made["EventTime"] + second))
        self.assertNotIn(made["EventId"], look(EndTime=made["EventTime"] - second))
        self.refused("InvalidTimeRangeException", self.trail.lookup_events,
                     StartTime=made["EventTime"], EndTime=made["EventTime"] - second)

    def test_who_may_not_and_what_is_malformed_is_told_in_the_service_s_words(self):
        eve = self.server.client("cloudtrail", key=self.maker)
        self.error("AccessDeniedException", 400, eve.lookup_events)
        # An org without the right to ask may not even ask for nothing.
        self.error("AccessDeniedException", 400, eve.lookup_events, MaxResults=1, NextToken="x")
        self.refused("InvalidNextTokenException", self.trail.lookup_events, NextToken="x")
        for wrong in (0, 51, -1):
            with self.subTest(wrong):
                client = self.server.client("cloudtrail", parameter_validation=False)
                self.refused("InvalidMaxResultsException", client.lookup_events, MaxResults=wrong)
        for key, value in (("Nothing", "x"), ("ReadOnly", "maybe"), ("EventName", "")):
            client = self.server.client("cloudtrail", parameter_validation=False)
            self.refused("InvalidLookupAttributesException", client.lookup_events,
                         LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])
        self.error("UnknownOperationException", 400, self.trail.describe_trails)
        wrong = self.server.client("cloudtrail", key=(self.server.root[0], "x" * 40))
        self.error("InvalidSignatureException", 400, wrong.lookup_events)


if __name__ == "__main__":
    unittest.main()
