/*
 * fast_kafka.h - from Kafka through functions to Kafka, in Kafka's own transactions: exactly once without a journal. Private to pipeline/.
 */
#ifndef PIPELINE_FAST_KAFKA_H
#define PIPELINE_FAST_KAFKA_H

#include "pipeline/run/shard.h"

/* One source, and all that comes of it is functions of it and goes to the source's cluster. */
bool fast_kafka_fits(const struct pipeline_spec *s);
/*
 * Run such a pipeline until the fiber is cancelled. Brokers that are away are waited for.
 *
 * Suspends. Errors: E_FENCED: another process has this one's `member`; E_CONFIG; those of the journal, which keeps dead letters.
 */
err_t fast_kafka_run(struct shard *s) SUSPENDS MUST_CHECK;

#endif
