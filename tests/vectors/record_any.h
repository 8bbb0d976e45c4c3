/* An entry with a record of any type, whatever its signature: what record_write refuses to make. */
#ifndef TESTS_VECTORS_RECORD_ANY_H
#define TESTS_VECTORS_RECORD_ANY_H

#include "proto/codec.h"
#include "proto/entry.pb-c.h"

static inline void record_any(struct buf *out, uint32_t type, struct bytes body)
{
	uint8_t signature[64] = {0};
	Sauti__Record record = SAUTI__RECORD__INIT;
	Sauti__Entry entry = SAUTI__ENTRY__INIT;

	record.type = type;
	record.body = codec_binary(body);
	record.signature = codec_binary(BYTES_ARRAY(signature));
	entry.body_case = SAUTI__ENTRY__BODY_RECORD;
	entry.record = &record;
	codec_pack(out, &entry);
}

#endif
