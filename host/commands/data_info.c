/* taper data info: how many pictures and bytes there are, by part and class. */
#include "commands/data.h"
#include "report/format.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>

struct class_facts {
    int pictures;
    uint64_t bytes;
};

struct part_facts {
    struct class_facts *classes; /* [classes] */
    uint64_t bytes, least, most;
    int missing; /* pictures whose size cannot be asked */
};

static void take_picture(const struct picture_source *source, int picture,
                         struct part_facts *facts) {
    struct class_facts *class = &facts->classes[picture_source_label(source, picture)];
    uint64_t size;
    class->pictures++;
    if (picture_source_size(source, picture, &size) != STATUS_OK) {
        fprintf(stderr, "bad: %s\n", failure());
        failure_clear();
        facts->missing++;
        return;
    }
    class->bytes += size;
    facts->bytes += size;
    facts->least = size < facts->least ? size : facts->least;
    facts->most = size > facts->most ? size : facts->most;
}

static void print_part(const struct data_work *work, const struct part_facts *facts) {
    const struct picture_source *source = work->source;
    const struct class_names names = data_class_names(work);
    char count[FORMAT_SIZE], bytes[FORMAT_SIZE], least[FORMAT_SIZE], most[FORMAT_SIZE];
    char name[MAX_CLASS_NAME];
    printf("%s: %s pictures of %d classes, %s", data_part_name(work->part),
           format_count(count, picture_source_count(source)), picture_source_classes(source),
           format_bytes(bytes, (double)facts->bytes));
    if (facts->missing < picture_source_count(source))
        printf(", each %s to %s", format_bytes(least, (double)facts->least),
               format_bytes(most, (double)facts->most));
    putchar('\n');
    if (facts->missing > 0)
        printf("%s: %d pictures are gone or no files\n", data_part_name(work->part),
               facts->missing);
    data_print_sentences(stdout, "bad", picture_source_faults(source));
    for (int label = 0; label < picture_source_classes(source); label++)
        printf("  %5d  %-32s %10s  %s\n", label, class_name(&names, label, name),
               format_count(count, facts->classes[label].pictures),
               format_bytes(bytes, (double)facts->classes[label].bytes));
}

static enum status info(struct data_work *work) {
    struct part_facts facts = {.least = UINT64_MAX};
    TRY(allocate(&facts.classes, (size_t)picture_source_classes(work->source),
                 sizeof *facts.classes, "the classes"));
    for (int i = 0; i < picture_source_count(work->source); i++)
        take_picture(work->source, i, &facts);
    print_part(work, &facts);
    free(facts.classes);
    return STATUS_OK;
}

static enum status execute(int argc, char **argv) {
    struct options options;
    struct data_work work;
    TRY(options_parse(&options, OPTIONS_DATA, data_info.summary, argc, argv));
    TRY(data_work_open(&work, &options));
    enum status status = data_for_parts(&options, &work, info);
    data_work_close(&work);
    return status;
}

const struct command data_info = {"info", "Pictures and bytes of each part and class", execute};
