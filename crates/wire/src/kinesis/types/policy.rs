//! Resource policies of streams and consumers.

use crate::typed::{reply_struct, request_struct};

request_struct! {
    /// Sets the policy of a stream or a consumer.
    PutResourcePolicy = kinesis::PUT_RESOURCE_POLICY_INPUT {
        policy: String = "Policy",
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Asks for the policy of a stream or a consumer.
    GetResourcePolicy = kinesis::GET_RESOURCE_POLICY_INPUT {
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
    }
}

request_struct! {
    /// Removes the policy of a stream or a consumer.
    DeleteResourcePolicy = kinesis::DELETE_RESOURCE_POLICY_INPUT {
        resource_arn: String = "ResourceARN",
        stream_id: Option<String> = "StreamId",
    }
}

reply_struct! {
    /// Reply of `GetResourcePolicy`. AWS shows `{}` where there is no policy.
    GetResourcePolicyReply = kinesis::GET_RESOURCE_POLICY_OUTPUT {
        policy: String = "Policy",
    }
}
