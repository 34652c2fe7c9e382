"""Every error that the models of Lightsail and CloudTrail declare of an operation served here, raised as the client's typed exception.

Not here: what the operations do (lightsail.py, cloudtrail.py).
"""

import unittest
from datetime import datetime, timezone

from botocore import xform_name

from served import Served
from typed import Typed, operations_served

DENIED, INPUT, NONE = "AccessDeniedException", "InvalidInputException", "NotFoundException"
NO_BUCKET, BAD_BUCKET, BUCKET = {"bucketName": "no-bucket"}, {"bucketName": "Not A Bucket"}, {"bucketName": "bucket"}
BUNDLE = {"bundleId": "small_1_0"}


class Denied(dict):
    """Arguments of a call that a key without rights signs."""


class OfAService(Typed):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # What the client itself would not send is sent too.
        cls.client = cls.server.client(cls.service, parameter_validation=False)
        cls.iam.create_user(UserName="powerless")
        made = cls.iam.create_access_key(UserName="powerless")["AccessKey"]
        cls.powerless = cls.server.client(cls.service, key=(made["AccessKeyId"], made["SecretAccessKey"]), parameter_validation=False)

    def call(self, operation, arguments):
        return getattr(self.powerless if isinstance(arguments, Denied) else self.client, xform_name(operation))

    def served(self):
        return operations_served(self.powerless, "UnknownOperationException")


class Lightsail(OfAService, Served):
    service = "lightsail"
    provoked = {
        "CreateBucket": {DENIED: Denied(bucketName="new", **BUNDLE), INPUT: {**BUCKET, **BUNDLE}},
        "CreateBucketAccessKey": {DENIED: Denied(BUCKET), NONE: NO_BUCKET, INPUT: {"bucketName": "full"}},
        "DeleteBucket": {DENIED: Denied(BUCKET), NONE: NO_BUCKET, INPUT: {"bucketName": "full"}},
        "DeleteBucketAccessKey": {
            DENIED: Denied(BUCKET, accessKeyId="NQAKNEVERNEVERNEVER1"), NONE: {**BUCKET, "accessKeyId": "NQAKNEVERNEVERNEVER1"}, INPUT: BUCKET},
        "GetBucketAccessKeys": {DENIED: Denied(BUCKET), NONE: NO_BUCKET, INPUT: BAD_BUCKET},
        "GetBuckets": {DENIED: Denied(), NONE: NO_BUCKET, INPUT: BAD_BUCKET},
        "GetOperation": {DENIED: Denied(operationId="never"), NONE: {"operationId": "never"}, INPUT: {}},
        "GetOperations": {DENIED: Denied(), INPUT: {"pageToken": "never"}},
        "GetOperationsForResource": {DENIED: Denied(resourceName="bucket"), NONE: {"resourceName": "no-bucket"}, INPUT: {}},
    }
    never = {
        ("ServiceException", "It is the server's own fault alone: its disk failed under a write, which failing.py brings about once."): [],
        ("UnauthenticatedException", "Who cannot be told is answered as AWS's JSON services word it: UnrecognizedClientException, "
         "InvalidSignatureException or MissingAuthenticationTokenException."): [],
        ("RegionSetupInProgressException", "There is one region, and it is set up."): [],
        ("AccountSetupInProgressException", "An account is whole from its first commit on."): [],
        ("OperationFailureException", "An operation is told when it is done, so none fails later."): [],
        (NONE, "It lists whatever there is, and names nothing."): ["GetOperations"],
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("bucket", "full"):
            cls.client.create_bucket(bucketName=name, **BUNDLE)
        for _ in range(2):
            cls.client.create_bucket_access_key(bucketName="full")


def when(day):
    return datetime(2026, 1, day, tzinfo=timezone.utc)


class CloudTrail(OfAService, Served):
    service = "cloudtrail"
    provoked = {"LookupEvents": {
        "InvalidLookupAttributesException": {"LookupAttributes": [{"AttributeKey": "EventId", "AttributeValue": ""}]},
        "InvalidTimeRangeException": {"StartTime": when(2), "EndTime": when(1)},
        "InvalidMaxResultsException": {"MaxResults": 0},
        "InvalidNextTokenException": {"NextToken": "never"},
        "InvalidEventCategoryException": {"EventCategory": "weather"},
    }}
    never = {
        ("UnsupportedOperationException", "What is not served is UnknownOperationException, as with every JSON service of AWS."): [],
        ("OperationNotPermittedException", "Who may not is AccessDeniedException, which names the action."): [],
    }


if __name__ == "__main__":
    unittest.main()
