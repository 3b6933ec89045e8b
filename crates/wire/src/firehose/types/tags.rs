//! Tags of delivery streams.

use crate::typed::{reply_struct, request_struct, shared_struct};

shared_struct! {
    /// A tag.
    Tag = firehose::TAG {
        key: String = "Key",
        value: Option<String> = "Value",
    }
}

request_struct! {
    /// Sets tags of a delivery stream.
    TagDeliveryStream = firehose::TAG_DELIVERY_STREAM_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        tags: Vec<Tag> = "Tags",
    }
}

reply_struct! {
    /// Reply of `TagDeliveryStream`: an object without members.
    TagDeliveryStreamReply = firehose::TAG_DELIVERY_STREAM_OUTPUT {
    }
}

request_struct! {
    /// Removes tags of a delivery stream.
    UntagDeliveryStream = firehose::UNTAG_DELIVERY_STREAM_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        tag_keys: Vec<String> = "TagKeys",
    }
}

reply_struct! {
    /// Reply of `UntagDeliveryStream`: an object without members.
    UntagDeliveryStreamReply = firehose::UNTAG_DELIVERY_STREAM_OUTPUT {
    }
}

request_struct! {
    /// Lists the tags of a delivery stream.
    ListTagsForDeliveryStream = firehose::LIST_TAGS_FOR_DELIVERY_STREAM_INPUT {
        delivery_stream_name: String = "DeliveryStreamName",
        exclusive_start_tag_key: Option<String> = "ExclusiveStartTagKey",
        limit: Option<u32> = "Limit",
    }
}

reply_struct! {
    /// Reply of `ListTagsForDeliveryStream`.
    ListTagsForDeliveryStreamReply = firehose::LIST_TAGS_FOR_DELIVERY_STREAM_OUTPUT {
        has_more_tags: bool = "HasMoreTags",
        tags: Vec<Tag> = "Tags",
    }
}
