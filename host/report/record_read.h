/* Reads a run folder into a record, for a report. Nothing is locked or changed. What is not there
 * yet is left out; what is there and damaged is an error that names the file. Results of other keys
 * than config.yaml's do not count, as for the run itself.
 */
#ifndef TAPER_RECORD_READ_H
#define TAPER_RECORD_READ_H

#include "report/record.h"

/* There is something to release also on failure. */
enum status record_read(struct run_record *record, const char *folder);

/* Its parts: search.jsonl, log.jsonl, evaluation.json. */
enum status record_read_search(struct run_record *record);
enum status record_read_log(struct run_record *record);
enum status record_read_evaluation(struct run_record *record);

#endif
