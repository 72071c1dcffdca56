/* What a run tells: sentences for a person on standard output, objects for programs in log.jsonl.
 */
#ifndef TAPER_LOG_H
#define TAPER_LOG_H

#include "support/status.h"
#include <stdbool.h>

struct log;

enum status log_open(struct log **log, const char *path);
void log_close(struct log *log); /* NULL is fine */
/* Standard output is none, though it looks like one: a launcher of ranks reads it. */
void log_no_terminal(struct log *log);

/* All below: log NULL does nothing, so that parts of the engine run silently under test. */

/* One object, in the notation of json_pack(): log_event(log, "{s:s, s:i}", "event", "saved", ...).
 */
enum status log_event(struct log *log, const char *format, ...);

/* A line for a person, also kept as {"event": "note"}. */
enum status log_say(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "EVENT: SENTENCE" for a person, kept as {"event": EVENT, "text": SENTENCE}. */
enum status log_say_event(struct log *log, const char *event, const char *sentence);

/* A line that the next one replaces, on a terminal only. */
void log_status_line(struct log *log, const char *line);
bool log_on_terminal(const struct log *log);

double log_seconds(void); /* a clock that only runs forward */

#endif
