/* SPDX-License-Identifier: MIT */
#include "pipeline/run/matrix.h"

struct axis {
    struct str name;
    const struct node *values; /* the first */
    size_t count;
};

static struct str
literal(struct run *run, const struct node *n)
{
    if (n->type == N_TEXT)
        return n->text;
    if (n->type == N_BOOL)
        return n->number != 0 ? STR("true") : STR("false");
    if (n->wide != NULL) {
        cleanup(strbuf_done) struct strbuf digits = {0};
        bignum_format(*n->wide, 10, &digits);
        return arena_dup(&run->arena, strbuf_str(&digits));
    }
    return str_of(arena_format(&run->arena, "%lld", (long long)n->number));
}

static size_t
read_axes(struct run *run, const struct node *matrix, struct axis axes[static MATRIX_AXES_MAX])
{
    const struct node *block = section_block(section_entry(matrix, "axes"));
    size_t count = 0;

    for (const struct node *n = block->first; n != NULL && count < MATRIX_AXES_MAX; n = n->next) {
        const struct node *name = section_entry(n, "name"), *values = section_entry(n, "values");
        struct axis *a = &axes[count++];
        *a = (struct axis){.name = literal(run, name->first), .values = values->first};
        for (const struct node *v = values->first; v != NULL; v = v->next)
            a->count++;
    }
    return count;
}

static bool
holds(struct run *run, const struct node *values, struct str value)
{
    for (const struct node *v = values->first; v != NULL; v = v->next)
        if (str_equal(literal(run, v), value))
            return true;
    return false;
}

/* Does the cell have what the axis of an exclude names? */
static bool
axis_matches(struct run *run, const struct node *axis, const struct matrix_cell *cell)
{
    const struct node *name = section_entry(axis, "name");
    const struct node *values = section_entry(axis, "values");
    const struct node *others = section_entry(axis, "notValues");

    for (size_t i = 0; i < cell->count; i++)
        if (str_equal(cell->names[i], literal(run, name->first)))
            return values != NULL ? holds(run, values, cell->values[i])
                                  : !holds(run, others, cell->values[i]);
    return false;
}

static bool
is_excluded(struct run *run, const struct node *matrix, const struct matrix_cell *cell)
{
    const struct node *block = section_block(section_entry(matrix, "excludes"));

    for (const struct node *e = block == NULL ? NULL : block->first; e != NULL; e = e->next) {
        bool all = true;
        for (const struct node *a = section_block(e)->first; a != NULL && all; a = a->next)
            all = axis_matches(run, a, cell);
        if (all)
            return true;
    }
    return false;
}

static void
fill_cell(struct run *run, const struct axis *axes, size_t count, size_t index,
          struct matrix_cell *cell)
{
    cleanup(strbuf_done) struct strbuf name = {0};

    cell->count = count;
    strbuf_add_cstr(&name, "Matrix - ");
    for (size_t i = 0; i < count; i++) {
        const struct node *v = axes[i].values;
        for (size_t k = index % axes[i].count; k > 0; k--)
            v = v->next;
        index /= axes[i].count;
        cell->names[i] = axes[i].name;
        cell->values[i] = literal(run, v);
        strbuf_addf(&name, "%s" STR_FMT " = '" STR_FMT "'", i > 0 ? ", " : "",
                    STR_ARG(cell->names[i]), STR_ARG(cell->values[i]));
    }
    cell->name = arena_dup(&run->arena, strbuf_str(&name));
}

bool
matrix_cells(struct run *run, const struct node *matrix, const struct matrix_cell **out,
             size_t *count_out)
{
    struct axis axes[MATRIX_AXES_MAX];
    size_t count = read_axes(run, matrix, axes), product = 1, n = 0;
    struct matrix_cell *cells;

    for (size_t i = 0; i < count && product <= BRANCHES_MAX; i++)
        product *= axes[i].count;
    if (product > BRANCHES_MAX)
        return interp_throw(&run->in, matrix, "IllegalArgumentException",
                            "the matrix has more than %u cells", BRANCHES_MAX);
    cells = arena_alloc(&run->arena, product * sizeof(*cells));
    for (size_t i = 0; i < product; i++) {
        fill_cell(run, axes, count, i, &cells[n]);
        n += !is_excluded(run, matrix, &cells[n]);
    }
    *out = cells;
    *count_out = n;
    return true;
}
