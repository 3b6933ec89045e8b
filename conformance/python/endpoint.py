"""What the suite is pointed at: a node of its own, LEVADA_ENDPOINT=http://…, or LEVADA_ENDPOINT=aws."""

import os

import boto3

URL = os.environ.get("LEVADA_ENDPOINT")
AWS = URL == "aws"
REGION = os.environ.get("AWS_REGION", "us-east-1")
ACCOUNT = boto3.client("sts").get_caller_identity()["Account"] if AWS else os.environ.get("LEVADA_ACCOUNT", "000000000000")
ARN = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/"


def environment(url, account=ACCOUNT):
    """The environment of a client process: endpoint and identity, and nothing else of ours that an SDK would read."""
    inherited = {name: value for name, value in os.environ.items() if AWS or not name.startswith("AWS_")}
    inherited["AWS_REGION"] = inherited["AWS_DEFAULT_REGION"] = REGION
    inherited["AWS_MAX_ATTEMPTS"] = "1"
    if AWS:
        return inherited
    return inherited | {
        "AWS_ENDPOINT_URL_KINESIS": url,
        "AWS_ENDPOINT_URL_FIREHOSE": url,
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
