/* What was kept of every layer, beside the initial network. */
#include "report/html.h"
#include "report/sections.h"

#include <string.h>

static const char *kind_of(const struct layer *layer) {
    static const char *const words[] = {[LAYER_CONVOLUTION] = "convolution",
                                        [LAYER_BLOCK] = "block",
                                        [LAYER_POOL] = "pool",
                                        [LAYER_LINEAR] = "linear"};
    return words[layer->kind];
}

/* The first value of a choice: of a stand-alone network the only one. */
static int value_of(const struct network *network, int choice) {
    return choice < 0 ? 0 : network->choices[choice].options[0];
}

static bool is_absent(const struct network *network, const struct layer *layer) {
    return layer->present >= 0 && value_of(network, layer->present) == 0;
}

static bool can_shrink(const struct network *network, int choice) {
    return choice >= 0 && network->choices[choice].count > 1;
}

static void write_bar(FILE *file, int kept, int all, bool shrinks) {
    fprintf(file, "<td><div class=\"kept%s\"><span class=\"bar\"><i style=\"width:%.1f%%\"></i>",
            shrinks ? "" : " fixed", all > 0 ? 100.0 * kept / all : 0);
    fprintf(file, "</span><span>%d<small> of %d</small></span></div></td>", kept, all);
}

static void write_kernel(FILE *file, int kept, int all) {
    if (kept == all)
        fprintf(file, "<td>%d×%d</td>", kept, kept);
    else
        fprintf(file, "<td><b>%d×%d</b><small> of %d×%d</small></td>", kept, kept, all, all);
}

/* The two networks number their choices each in its own way: tied layers are not tied in
 * found.yaml.
 */
static void write_present(FILE *file, const struct network *all, const struct network *kept,
                          int i) {
    const struct layer *whole = &all->layers[i], *own = &kept->layers[i];
    const int widths[][2] = {{whole->width, own->width}, {whole->expand, own->expand}};
    for (int w = 0; w < 2; w++) {
        if (widths[w][0] < 0)
            fputs("<td></td>", file);
        else
            write_bar(file, value_of(kept, widths[w][1]), value_of(all, widths[w][0]),
                      can_shrink(all, widths[w][0]));
    }
    if (whole->kernel < 0)
        fputs("<td></td>", file);
    else
        write_kernel(file, value_of(kept, own->kernel), value_of(all, whole->kernel));
}

static void write_layer(FILE *file, const struct run_record *run, const struct layer_shape *shapes,
                        int i) {
    const struct network *all = &run->config.network;
    const struct layer *layer = &all->layers[i];
    fputs("<tr><th scope=\"row\">", file);
    html_text(file, layer->name);
    fprintf(file, "<small> %s%s</small></th><td class=\"size\">%d×%d</td>", kind_of(layer),
            layer->stride == 2 ? ", stride 2" : "", shapes[i].out_height, shapes[i].out_width);
    if (is_absent(&run->network, &run->network.layers[i]))
        fprintf(file, "<td colspan=\"3\" class=\"absent\">absent: its %d input channels go on</td>",
                shapes[i].out);
    else
        write_present(file, all, &run->network, i);
    fputs("</tr>\n", file);
}

/* Where the search chose the size of the pictures. */
static void write_pictures(FILE *file, const struct run_record *run) {
    const struct network *all = &run->config.network, *kept = &run->network;
    if (network_resolutions(all) == 1)
        return;
    fprintf(file,
            "<tr><th scope=\"row\">pictures</th><td class=\"size\">%d×%d</td>"
            "<td colspan=\"3\"><small>the largest of the search are %d×%d</small></td></tr>\n",
            kept->height, kept->width, all->height, all->width);
}

static void write_one(FILE *file, const struct run_record *run) {
    struct layer_shape shapes[MAX_LAYERS];
    struct subnetwork whole = subnetwork_largest(&run->network);
    network_shapes(&run->network, &whole, shapes);
    fputs("<div class=\"wide\"><table class=\"layers\"><thead><tr><th>layer</th><th "
          "class=\"size\">output</th>"
          "<th>width</th><th>expansion</th><th>kernel</th></tr></thead><tbody>\n",
          file);
    write_pictures(file, run);
    for (int i = 0; i < run->network.layer_count; i++)
        write_layer(file, run, shapes, i);
    fputs("</tbody></table></div>\n", file);
}

static const struct layer *find_layer(const struct network *network, const char *name) {
    for (int i = 0; i < network->layer_count; i++)
        if (strcmp(network->layers[i].name, name) == 0)
            return &network->layers[i];
    return NULL;
}

/* "24, expansion 48, 5×5" */
static void write_cell(FILE *file, const struct run_record *run, const char *name) {
    const struct network *network = &run->network;
    const struct layer *layer = run->has_network ? find_layer(network, name) : NULL;
    fputs("<td>", file);
    if (layer == NULL)
        fputs("–", file);
    else if (is_absent(network, layer))
        fputs("<span class=\"absent\">absent</span>", file);
    else if (layer->width >= 0)
        fprintf(file, "%d", value_of(network, layer->width));
    if (layer && !is_absent(network, layer) && layer->expand >= 0)
        fprintf(file, "<small>, expansion</small> %d", value_of(network, layer->expand));
    if (layer && !is_absent(network, layer) && layer->kernel >= 0)
        fprintf(file, "<small>, kernel</small> %d", value_of(network, layer->kernel));
    fputs("</td>", file);
}

static void write_all_pictures(const struct page *page) {
    bool several = false;
    for (int r = 0; r < page->count; r++)
        several |= network_resolutions(&page->runs[r].config.network) > 1;
    if (!several)
        return;
    fputs("<tr><th scope=\"row\">pictures</th>", page->file);
    for (int r = 0; r < page->count; r++) {
        const struct run_record *run = &page->runs[r];
        if (run->has_network)
            fprintf(page->file, "<td>%d×%d</td>", run->network.height, run->network.width);
        else
            fputs("<td>–</td>", page->file);
    }
    fputs("</tr>\n", page->file);
}

/* Rows are the layers of the first run. */
static void write_several(const struct page *page) {
    const struct network *first = &page->runs->config.network;
    fputs("<div class=\"wide\"><table class=\"layers several\"><thead><tr><th>layer</th>",
          page->file);
    for (int r = 0; r < page->count; r++) {
        fputs("<th>", page->file);
        run_badge(page, r);
        fputs("</th>", page->file);
    }
    fputs("</tr></thead><tbody>\n", page->file);
    write_all_pictures(page);
    for (int i = 0; i < first->layer_count; i++) {
        fputs("<tr><th scope=\"row\">", page->file);
        html_text(page->file, first->layers[i].name);
        fputs("</th>", page->file);
        for (int r = 0; r < page->count; r++)
            write_cell(page->file, &page->runs[r], first->layers[i].name);
        fputs("</tr>\n", page->file);
    }
    fputs("</tbody></table></div>\n", page->file);
}

void section_network(const struct page *page) {
    fputs("<section><h2>Network</h2>\n", page->file);
    if (page->count > 1) {
        write_several(page);
    } else if (page->runs->has_network) {
        fputs("<p>Filters and kernel sizes kept of the initial network, layer by layer.",
              page->file);
        fputs(page->runs->search_done ? "</p>\n" : " The search is not done yet.</p>\n",
              page->file);
        write_one(page->file, page->runs);
    } else {
        fputs("<p class=\"none\">No network is found yet.</p>\n", page->file);
    }
    fputs("</section>\n", page->file);
}
