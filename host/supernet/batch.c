/* The groups of a batch: their widths, and how their images are cut into shards. */
#include "supernet/pass_internal.h"
#include "supernet/work.h"

/* Fewer groups than this run together with barriers, so that all threads have work. */
enum { INDEPENDENT_GROUPS = 4 };

static double segment_macs(const struct pass *pass, const struct segment *segment) {
    double macs = 0;
    for (int i = 0; i < pass->step_count; i++)
        if (step_is_convolution(&pass->steps[i]))
            macs += convolution_macs(pass, &pass->steps[i].convolution, segment->group);
    return macs * segment->images;
}

static void add_segment(struct pass *pass, struct shard *shard, int group, int picture,
                        int images) {
    struct segment *segment = &pass->segments[pass->segment_count];
    *segment = (struct segment){.index = pass->segment_count++,
                                .group = group,
                                .first = picture,
                                .images = images,
                                .picture = picture};
    shard->segments++;
    shard->images += images;
    shard->macs += segment_macs(pass, segment);
}

/* Whole groups to shards, as evenly as their number allows. */
static void cut_by_groups(struct pass *pass, const struct batch_group *groups) {
    int shards = pass->options.shards < pass->groups ? pass->options.shards : pass->groups;
    for (int s = 0, group = 0, picture = 0; s < shards; s++) {
        struct shard *shard = &pass->shards[pass->shard_count++];
        *shard = (struct shard){.first_segment = pass->segment_count};
        for (int end = (s + 1) * pass->groups / shards; group < end; group++) {
            add_segment(pass, shard, group, picture, groups[group].images);
            picture += groups[group].images;
        }
    }
}

/* Images to shards evenly; a group may be cut into several segments. */
static void cut_by_images(struct pass *pass, const struct batch_group *groups) {
    int shards = pass->options.shards < pass->images ? pass->options.shards : pass->images;
    int group = 0, group_end = groups[0].images;
    for (int s = 0, picture = 0; s < shards; s++) {
        struct shard *shard = &pass->shards[pass->shard_count++];
        *shard = (struct shard){.first_segment = pass->segment_count};
        int end = (int)((long)(s + 1) * pass->images / shards);
        while (picture < end) {
            if (picture == group_end)
                group_end += groups[++group].images;
            int until = end < group_end ? end : group_end;
            add_segment(pass, shard, group, picture, until - picture);
            picture = until;
        }
    }
}

static void order_shards(struct pass *pass) {
    pass->largest_shard = 0;
    for (int i = 0; i < pass->own_shards; i++) {
        int s = pass->own_shard + i, place = i;
        if (pass->shards[s].images > pass->largest_shard)
            pass->largest_shard = pass->shards[s].images;
        for (; place > 0 && pass->shards[pass->order[place - 1]].macs < pass->shards[s].macs;
             place--)
            pass->order[place] = pass->order[place - 1];
        pass->order[place] = s;
    }
}

static void set_width(struct pass *pass, const int *widths, int group, int width) {
    *pass_width(pass, widths, group) = width;
}

static void set_widths(struct pass *pass, const struct subnetwork *sub, int group) {
    struct layer_shape shapes[MAX_LAYERS];
    network_shapes(pass->network, sub, shapes);
    for (int layer = 0; layer < pass->network->layer_count; layer++) {
        const struct layer_widths *widths = &pass->widths[layer];
        set_width(pass, widths->filters, group, shapes[layer].filters);
        set_width(pass, widths->out, group, shapes[layer].out);
        set_width(pass, widths->expand, group, shapes[layer].expand);
        set_width(pass, widths->squeeze, group, shapes[layer].squeeze);
        set_width(pass, widths->kernel, group, shapes[layer].kernel);
    }
}

/* To where operations read them. */
static enum status upload_groups(struct pass *pass) {
    const struct memory *memory = pass->ops->memory;
    if (!memory->separate)
        return STATUS_OK;
    TRY(memory->copy(pass->device_widths, pass->width_memory, pass->width_count * sizeof(int)));
    return memory->copy(pass->device_segments, pass->segments,
                        (size_t)pass->segment_count * sizeof *pass->segments);
}

/* Steps and tensors for the pictures of these groups. */
static enum status set_resolution(struct pass *pass, const struct batch_group *groups, int count) {
    int resolution = subnetwork_resolution(pass->network, groups[0].sub);
    for (int group = 1; group < count; group++)
        if (subnetwork_resolution(pass->network, groups[group].sub) != resolution)
            return fail(STATUS_FAILED, "the groups of a batch differ in their resolution");
    if (resolution == pass->resolution)
        return STATUS_OK;
    pass_build_again(pass, resolution);
    pass->prepared = pass->given_applied = false;
    return STATUS_OK;
}

enum status pass_set_groups(struct pass *pass, const struct batch_group *groups, int count) {
    if (count < 1 || count > pass->options.groups)
        return fail(STATUS_FAILED, "a batch of %d groups does not fit a pass made for %d", count,
                    pass->options.groups);
    TRY(set_resolution(pass, groups, count));
    int images = 0;
    for (int group = 0; group < count; group++) {
        images += groups[group].images;
        set_widths(pass, groups[group].sub, group);
    }
    if (images < 1 || images > pass->options.images)
        return fail(STATUS_FAILED, "a batch of %d images does not fit a pass made for %d", images,
                    pass->options.images);
    pass->images = images;
    pass->groups = count;
    pass->segment_count = pass->shard_count = 0;
    pass->whole_groups = !pass->options.shared_norm && count >= INDEPENDENT_GROUPS;
    if (pass->whole_groups)
        cut_by_groups(pass, groups);
    else
        cut_by_images(pass, groups);
    TRY(share_cut(pass));
    order_shards(pass);
    return upload_groups(pass);
}
