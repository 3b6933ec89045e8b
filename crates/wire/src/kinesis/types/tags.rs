//! Tags of streams and consumers.

use crate::typed::{StringMap, reply_struct, request_struct};

reply_struct! {
    /// A tag.
    Tag = kinesis::TAG {
        key: String = "Key",
        value: Option<String> = "Value",
    }
}

request_struct! {
    /// Sets tags of a stream.
    AddTagsToStream = kinesis::ADD_TAGS_TO_STREAM_INPUT {
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        tags: StringMap = "Tags",
    }
}

request_struct! {
    /// Removes tags of a stream.
    RemoveTagsFromStream = kinesis::REMOVE_TAGS_FROM_STREAM_INPUT {
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
        tag_keys: Vec<String> = "TagKeys",
    }
}

request_struct! {
    /// Lists tags of a stream.
    ListTagsForStream = kinesis::LIST_TAGS_FOR_STREAM_INPUT {
        exclusive_start_tag_key: Option<String> = "ExclusiveStartTagKey",
        limit: Option<u32> = "Limit",
        stream_arn: Option<String> = "StreamARN",
        stream_id: Option<String> = "StreamId",
        stream_name: Option<String> = "StreamName",
    }
}

reply_struct! {
    /// Reply of `ListTagsForStream`.
    ListTagsForStreamReply = kinesis::LIST_TAGS_FOR_STREAM_OUTPUT {
        has_more_tags: bool = "HasMoreTags",
        tags: Vec<Tag> = "Tags",
    }
}

request_struct! {
    /// Sets tags of a stream or a consumer.
    TagResource = kinesis::TAG_RESOURCE_INPUT {
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
        tags: StringMap = "Tags",
    }
}

request_struct! {
    /// Removes tags of a stream or a consumer.
    UntagResource = kinesis::UNTAG_RESOURCE_INPUT {
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
        tag_keys: Vec<String> = "TagKeys",
    }
}

request_struct! {
    /// Lists the tags of a stream or a consumer.
    ListTagsForResource = kinesis::LIST_TAGS_FOR_RESOURCE_INPUT {
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
    }
}

reply_struct! {
    /// Reply of `ListTagsForResource`.
    ListTagsForResourceReply = kinesis::LIST_TAGS_FOR_RESOURCE_OUTPUT {
        tags: Vec<Tag> = "Tags",
    }
}
