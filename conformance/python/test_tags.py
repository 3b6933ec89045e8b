"""Tags, through both APIs: those of streams, and those of resources (streams and consumers)."""

import pytest

from endpoint import ACCOUNT, ARN
from tools import refused

fact = pytest.mark.fact
INVALID = "InvalidArgumentException"


def tags(call, name, **more):
    return [(tag["Key"], tag["Value"]) for tag in call("ListTagsForStream", StreamName=name, **more)["Tags"]]


@pytest.mark.since_2015
@fact("tags-sorted")
def test_tags_of_a_stream(client, stream):
    name = stream(1)
    assert tags(client, name) == []
    client("AddTagsToStream", StreamName=name, Tags={"case": "lower", "Case": "upper", "ключ": "значение", "empty": ""})
    client("AddTagsToStream", StreamName=name, Tags={"case": "changed", "a b": "_./=+-%@:"})
    expected = [("Case", "upper"), ("a b", "_./=+-%@:"), ("case", "changed"), ("empty", ""), ("ключ", "значение")]
    assert tags(client, name) == expected
    client("RemoveTagsFromStream", StreamName=name, TagKeys=["case", "never there"])
    assert tags(client, name) == [tag for tag in expected if tag[0] != "case"]


@pytest.mark.since_2015
def test_pages_of_tags(client, stream):
    name = stream(1)
    client("AddTagsToStream", StreamName=name, Tags={f"k{n}": f"{n}" for n in range(5)})
    first = client("ListTagsForStream", StreamName=name, Limit=2)
    assert first["HasMoreTags"] is True and [tag["Key"] for tag in first["Tags"]] == ["k0", "k1"]
    rest = client("ListTagsForStream", StreamName=name, ExclusiveStartTagKey="k1")
    assert rest["HasMoreTags"] is False and [tag["Key"] for tag in rest["Tags"]] == ["k2", "k3", "k4"]
    assert tags(client, name, ExclusiveStartTagKey="k2x") == [("k3", "3"), ("k4", "4")]


@fact("tags-sorted")
def test_both_apis_see_the_same_tags(send, stream):
    name = stream(1, Tags={"from": "creation"})
    send("TagResource", ResourceARN=ARN + name, Tags={"b": "2", "a": "1"})
    expected = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}, {"Key": "from", "Value": "creation"}]
    assert send("ListTagsForResource", ResourceARN=ARN + name)["Tags"] == expected
    assert send("ListTagsForStream", StreamName=name) == {"Tags": expected, "HasMoreTags": False}
    send("UntagResource", ResourceARN=ARN + name, TagKeys=["from", "never there"])
    assert tags(send, name) == [("a", "1"), ("b", "2")]


def test_tags_of_a_consumer(send, stream):
    name = stream(1)
    consumer = send("RegisterStreamConsumer", StreamARN=ARN + name, ConsumerName="c", Tags={"a": "1"})["Consumer"]["ConsumerARN"]
    send("TagResource", ResourceARN=consumer, Tags={"b": "2"})
    send("UntagResource", ResourceARN=consumer, TagKeys=["a"])
    assert send("ListTagsForResource", ResourceARN=consumer)["Tags"] == [{"Key": "b", "Value": "2"}]
    assert tags(send, name) == [], "the stream has none"


SYSTEM = "Some tag keys in the request started with 'aws:'. System tags cannot be modified."


def test_tags_are_refused(send, stream):
    name = stream(1)
    arn = ARN + name
    send("AddTagsToStream", StreamName=name, Tags={f"k{n}": "v" for n in range(50)})
    send("AddTagsToStream", StreamName=name, Tags={"k0": "changed"})
    many = (
        f"Failed to add tags to resource {arn} under account {ACCOUNT} because a given resource cannot have more than 50 tags "
        "associated with it."
    )
    rows = [
        ("AddTagsToStream", {"StreamName": name, "Tags": {"one more": "v"}}, many),
        ("TagResource", {"ResourceARN": arn, "Tags": {"one more": "v", "k1": "v"}}, many),
        ("AddTagsToStream", {"StreamName": name, "Tags": {"aws:x": "v"}}, SYSTEM),
        ("TagResource", {"ResourceARN": arn, "Tags": {"aws:x": "v"}}, SYSTEM),
        ("RemoveTagsFromStream", {"StreamName": name, "TagKeys": ["aws:x"]}, SYSTEM),
        ("UntagResource", {"ResourceARN": arn, "TagKeys": ["aws:x"]}, SYSTEM),
    ]
    for operation, members, text in rows:
        refused(send, operation, INVALID, text, **members)
    assert len(tags(send, name)) == 50
