package levada.conformance.kcl;

import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;

/** Processes a shard: tells the journal, then checkpoints, so that everything behind a checkpoint was told. */
final class Processor implements ShardRecordProcessor {
    private final Journal journal;
    private String shard;

    Processor(Journal journal) {
        this.journal = journal;
    }

    @Override
    public void initialize(InitializationInput input) {
        shard = input.shardId();
        journal.event("began", shard);
    }

    @Override
    public void processRecords(ProcessRecordsInput input) {
        journal.records(shard, input.records());
        checkpoint(input.checkpointer());
    }

    @Override
    public void leaseLost(LeaseLostInput input) {
        if (shard != null) { // a lease can be gone before its processor has begun
            journal.event("lost", shard);
        }
    }

    @Override
    public void shardEnded(ShardEndedInput input) {
        journal.event("ended", shard);
        checkpoint(input.checkpointer());
    }

    @Override
    public void shutdownRequested(ShutdownRequestedInput input) {
        journal.event("handed over", shard);
        checkpoint(input.checkpointer());
    }

    private static void checkpoint(RecordProcessorCheckpointer checkpointer) {
        try {
            checkpointer.checkpoint();
        } catch (ShutdownException lost) {
            // Another worker has the lease: it repeats what was not checkpointed. leaseLost() follows.
        } catch (InvalidStateException broken) {
            throw new IllegalStateException("the lease table", broken);
        }
    }
}
