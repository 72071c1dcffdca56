#include "data/tar.h"
#include "support/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* One read fetches a header and, mostly, the small members that follow it. */
enum { READ_AHEAD = 4096 };

/* What headers before the member's own say about it. */
struct extension {
    bool seen, has_name, has_size, sparse;
    uint64_t size;
};

enum status tar_begin(struct tar *tar, int file, const char *path) {
    struct stat facts;
    if (fstat(file, &facts) != 0)
        return fail(STATUS_FAILED, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(facts.st_mode))
        return fail(STATUS_USAGE, "cannot read %s: it is not a file", path);
    tar->file = file;
    tar->path = path;
    tar->size = (uint64_t)facts.st_size;
    tar->ended = false;
    tar->at = tar->window_at = tar->window_size = 0;
    return STATUS_OK;
}

enum status tar_look(struct tar *tar, uint64_t at, size_t size, const uint8_t **bytes) {
    if (at > tar->size || size > tar->size - at)
        return fail(STATUS_USAGE, "%s is cut off: it ends at byte %ju", tar->path,
                    (uintmax_t)tar->size);
    if (at < tar->window_at || at + size > tar->window_at + tar->window_size) {
        size_t wanted = size > READ_AHEAD ? size : READ_AHEAD;
        if (wanted > tar->size - at)
            wanted = (size_t)(tar->size - at);
        tar->window_size = 0;
        TRY(file_read_at(tar->file, tar->path, at, tar->window, wanted));
        tar->window_at = at;
        tar->window_size = wanted;
    }
    *bytes = tar->window + (at - tar->window_at);
    return STATUS_OK;
}

static enum status damaged(const struct tar *tar, const char *what) {
    return fail(STATUS_USAGE, "%s is damaged: %s at byte %ju", tar->path, what, (uintmax_t)tar->at);
}

/* Octal digits between spaces, ended by a space or a 0; or, by its first bit, binary. */
static bool read_number(const uint8_t *field, int width, uint64_t *number) {
    int i = 0;
    *number = 0;
    if (field[0] & 0x80) {
        bool fits = field[0] == 0x80;
        for (i = 1; i < width; i++) {
            fits = fits && (*number >> 55) == 0;
            *number = *number << 8 | field[i];
        }
        return fits;
    }
    while (i < width && field[i] == ' ')
        i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++)
        *number = *number << 3 | (uint64_t)(field[i] - '0');
    return i == width || field[i] == ' ' || field[i] == '\0';
}

static bool is_zero(const uint8_t *block) {
    for (int i = 0; i < TAR_BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

static bool checksum_is_right(const uint8_t *block) {
    uint64_t stated, sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return read_number(block + 148, 8, &stated) && stated == sum;
}

/* Up to a 0, or as much as there is room for. */
static void take_text(char *to, size_t room, const char *text, size_t size) {
    size_t length = strnlen(text, size);
    length = length < room ? length : room - 1;
    memcpy(to, text, length);
    to[length] = '\0';
}

/* A record of an extended header, "LENGTH KEY=VALUE\n"; key and value without its end. */
static bool take_record(struct tar *tar, const char *record, size_t size,
                        struct extension *extension) {
    const char *equals = memchr(record, '=', size);
    if (equals == NULL)
        return false;
    size_t key = (size_t)(equals - record), length = size - key - 1;
    if (key == 4 && memcmp(record, "path", key) == 0) {
        take_text(tar->member.name, sizeof tar->member.name, equals + 1, length);
        extension->has_name = true;
    } else if (key == 4 && memcmp(record, "size", key) == 0) {
        char digits[24], *end;
        take_text(digits, sizeof digits, equals + 1, length);
        errno = 0;
        extension->size = strtoull(digits, &end, 10);
        extension->has_size = true;
        return digits[0] >= '0' && digits[0] <= '9' && *end == '\0' && errno == 0;
    } else if (key > 10 && memcmp(record, "GNU.sparse", 10) == 0) {
        extension->sparse = true;
    }
    return true;
}

static enum status read_records(struct tar *tar, const char *text, size_t size,
                                struct extension *extension) {
    while (size > 0) {
        size_t length = 0, digits = 0;
        for (; digits < size && digits < 6 && text[digits] >= '0' && text[digits] <= '9'; digits++)
            length = length * 10 + (size_t)(text[digits] - '0');
        if (digits == 0 || digits == size || text[digits] != ' ' || length > size ||
            length < digits + 2 || text[length - 1] != '\n' ||
            !take_record(tar, text + digits + 1, length - digits - 2, extension))
            return damaged(tar, "an extended header is wrong");
        text += length;
        size -= length;
    }
    return STATUS_OK;
}

/* Headers that say something about the next member. */
static enum status take_extension(struct tar *tar, char type, uint64_t size,
                                  struct extension *extension) {
    const uint8_t *bytes;
    if (type == 'g' || type == 'K') /* of all members, none of which may set a name; of a link */
        return STATUS_OK;
    if (size > TAR_WINDOW)
        return damaged(tar, "an extended header is too long");
    TRY(tar_look(tar, tar->at + TAR_BLOCK, (size_t)size, &bytes));
    if (type == 'x')
        return read_records(tar, (const char *)bytes, (size_t)size, extension);
    take_text(tar->member.name, sizeof tar->member.name, (const char *)bytes, (size_t)size);
    extension->has_name = true;
    return STATUS_OK;
}

/* NAME, or PREFIX/NAME of ustar. */
static void take_header_name(struct tar_member *member, const uint8_t *block) {
    const char *prefix = (const char *)block + 345;
    bool has_prefix = memcmp(block + 257, "ustar", 6) == 0 && prefix[0] != '\0';
    snprintf(member->name, sizeof member->name, "%.*s%s%.*s", has_prefix ? 155 : 0, prefix,
             has_prefix ? "/" : "", 100, (const char *)block);
}

static enum status take_member(struct tar *tar, const uint8_t *block, uint64_t size,
                               const struct extension *extension) {
    char type = (char)block[156];
    struct tar_member *member = &tar->member;
    if (!extension->has_name)
        take_header_name(member, block);
    member->plain = (type == '0' || type == '\0' || type == '7') && !extension->sparse;
    if (type >= '1' && type <= '6') /* links, devices, folders: no data, whatever they state */
        size = 0;
    else if (extension->has_size)
        size = extension->size;
    member->offset = tar->at + TAR_BLOCK;
    member->size = size;
    if (size > tar->size - member->offset)
        return fail(STATUS_USAGE,
                    "%s is cut off or damaged: %.200s states %ju bytes, more than there are",
                    tar->path, member->name, (uintmax_t)size);
    return STATUS_OK;
}

static uint64_t in_blocks(uint64_t size) {
    return (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
}

/* Behind data that end the file within their last block there is nothing more. */
static void go_on(struct tar *tar, uint64_t size) {
    uint64_t left = tar->size - tar->at - TAR_BLOCK;
    tar->at = in_blocks(size) > left ? tar->size : tar->at + TAR_BLOCK + in_blocks(size);
}

enum status tar_next(struct tar *tar, bool *more) {
    struct extension extension = {0};
    *more = false;
    while (tar->at < tar->size) {
        const uint8_t *block = NULL;
        uint64_t size;
        TRY(tar_look(tar, tar->at, TAR_BLOCK, &block));
        tar->ended = is_zero(block);
        if (tar->ended)
            break;
        if (!checksum_is_right(block))
            return damaged(tar, "there is no header");
        if (!read_number(block + 124, 12, &size))
            return damaged(tar, "a size is no number");
        if (strchr("xgLK", block[156]) != NULL && block[156] != '\0') {
            if (size > tar->size - tar->at - TAR_BLOCK)
                return damaged(tar, "an extended header is cut off");
            TRY(take_extension(tar, (char)block[156], size, &extension));
            extension.seen = true;
            go_on(tar, size);
            continue;
        }
        TRY(take_member(tar, block, size, &extension));
        go_on(tar, tar->member.size);
        *more = true;
        return STATUS_OK;
    }
    return extension.seen ? damaged(tar, "an extended header is the end") : STATUS_OK;
}
