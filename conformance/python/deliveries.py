"""What the tests of delivery streams share: configurations, and one stream of each destination."""

from endpoint import ACCOUNT, REGION
from tools import until

ROLE = f"arn:aws:iam::{ACCOUNT}:role/levada"
HINTS = {"SizeInMBs": 1, "IntervalInSeconds": 1}
NOT_FOUND = f"Firehose nothing under account {ACCOUNT} not found."


def arn_of(name):
    return f"arn:aws:firehose:{REGION}:{ACCOUNT}:deliverystream/{name}"


def plain(bucket="bucket", **members):
    """The plain settings of a bucket, as backups and the other destinations have them."""
    return {"RoleARN": ROLE, "BucketARN": f"arn:aws:s3:::{bucket}"} | members


def s3(bucket="bucket", **members):
    return {"ExtendedS3DestinationConfiguration": plain(bucket, **members)}


def http(url="https://receiver.example/records", bucket="backup", backup=None, endpoint=None, **members):
    to = {"EndpointConfiguration": {"Url": url, **(endpoint or {})}, "S3Configuration": plain(bucket, **(backup or {}))}
    return {"HttpEndpointDestinationConfiguration": to | members}


def splunk(url="https://splunk.example:8088", bucket="backup", backup=None, **members):
    to = {"HECEndpoint": url, "HECEndpointType": "Raw", "HECToken": "00872dc6-ac83-4ede-8afe-8413c3825c4c"}
    return {"SplunkDestinationConfiguration": to | {"S3Configuration": plain(bucket, **(backup or {}))} | members}


def opensearch(url="https://search.example", index="records", bucket="backup", backup=None, **members):
    to = {"RoleARN": ROLE, "ClusterEndpoint": url, "IndexName": index, "S3Configuration": plain(bucket, **(backup or {}))}
    return {"AmazonopensearchserviceDestinationConfiguration": to | members}


def elasticsearch(**members):
    (to,) = opensearch(**members).values()
    return {"ElasticsearchDestinationConfiguration": to}


def serverless(url="https://collection.example", **members):
    (to,) = opensearch(**members).values()
    to["CollectionEndpoint"] = url
    del to["ClusterEndpoint"]
    return {"AmazonOpenSearchServerlessDestinationConfiguration": to}


def processors(*kinds):
    """A processing configuration: `("Lambda", {"LambdaArn": …})`, in order."""
    made = [
        {"Type": kind, "Parameters": [{"ParameterName": name, "ParameterValue": value} for name, value in given.items()]}
        for kind, given in kinds
    ]
    return {"ProcessingConfiguration": {"Enabled": True, "Processors": made}}


def described(call, name):
    return call("DescribeDeliveryStream", DeliveryStreamName=name)["DeliveryStreamDescription"]


def active(call, name):
    """Waits until the stream is ACTIVE; returns its description."""

    def look():
        now = described(call, name)
        assert now["DeliveryStreamStatus"] in ("CREATING", "ACTIVE"), now
        return now if now["DeliveryStreamStatus"] == "ACTIVE" else None

    return until(look, f"{name} ACTIVE")


class Maker:
    """Makes delivery streams named after the test, waits until they are ACTIVE, and deletes them at the end."""

    def __init__(self, test, send):
        self._base = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in test)[:50]
        self._send, self._made = send, []

    def __call__(self, destination=None, suffix="", send=None, **members):
        """`destination`: one of the configurations above; S3 with defaults if there is none."""
        send, name = send or self._send, self._base + suffix
        send("CreateDeliveryStream", DeliveryStreamName=name, **(destination or s3()), **members)
        self._made.append((send, name))
        active(send, name)
        return name

    def adopt(self, name, send=None):
        """Deletes a stream at the end that the test made itself."""
        self._made.append((send or self._send, name))
        return name

    def delete(self):
        for send, name in self._made:
            try:
                send("DeleteDeliveryStream", DeliveryStreamName=name)
            except Exception as error:
                if getattr(error, "code", None) != "ResourceNotFoundException":
                    raise
