/* SPDX-License-Identifier: MIT */
/* interp.h - runs the Groovy of a Jenkinsfile.
 * A tree walker: interp_eval() gives the value of an expression, interp_block() runs statements.
 * Both give false when they end early; `completion` says how (a thrown error, return, break,
 * continue).  What the language does not know (steps, env, params, the clock) comes in through
 * `struct interp_world`; with a world of plain tables the interpreter is pure.
 * Limits: INTERP_DEPTH_MAX nested evaluations and what the stack holds, INTERP_MEMORY_MAX bytes of
 * values, INTERP_EVALUATIONS_MAX; and the world's poll() ends what is aborted or out of time. */
#pragma once
#include "pipeline/groovy/value.h"

#define INTERP_DEPTH_MAX 3000
#define INTERP_MEMORY_MAX (256u << 20)
/* Without a step in between: some seconds of pure computing. */
#define INTERP_EVALUATIONS_MAX 300000000u
#define INTERP_TEXT_MAX VALUE_TEXT_MAX
#define INTERP_ARGS_MAX 32
#define INTERP_MESSAGE_MAX 1200u /* bytes of what interp_throw() says */

enum completion {
    COMPLETION_NONE,
    COMPLETION_THROW,
    COMPLETION_RETURN,
    COMPLETION_BREAK,
    COMPLETION_CONTINUE
};

struct variable {
    struct str name;
    struct value value;
    struct str type;
    struct variable *next;
};
struct scope {
    struct variable *variables;
    struct scope *parent;
    const struct value *delegate; /* whose properties and methods are names here, or NULL */
    bool delegate_first;          /* before what lies further out */
};
enum closure_strategy { OWNER_FIRST, DELEGATE_FIRST, OWNER_ONLY, DELEGATE_ONLY };
struct closure {
    const struct node *node; /* N_CLOSURE or N_METHOD; NULL: a method pointer */
    struct scope *scope;
    const struct value *delegate; /* NULL: the owner */
    enum closure_strategy strategy;
    struct value object; /* of a method pointer: obj.&name */
    struct str name;
    const struct list *curried; /* come first (or last, rcurry) of the arguments */
    bool is_curried_right;
    const struct closure *then; /* f >> g: what gets the result */
};
/* A text with ${-> ...}: made anew when a variable that holds it is read. */
struct lazy_text {
    const struct node *node;
    struct scope *scope;
};
/* A class of the file (interp_class.c). */
struct class_info {
    const struct node *node;
    struct map *statics; /* NULL until it is first used */
    bool is_known; /* the next three, which its instances have, are */
    bool is_asked, is_ordered, is_hashed;
};
#define INTERP_CLASSES_MAX 256

/* Named arguments stand apart; a block is the last of `at`. */
struct args {
    struct value at[INTERP_ARGS_MAX];
    size_t count;
    struct map *named; /* NULL if there are none */
};

struct interp;
/* All give false with something thrown; `found` false means "not mine". */
struct interp_world {
    void *ctx;
    bool (*name)(struct interp *in, struct str name, struct value *out, bool *found);
    bool (*call)(struct interp *in, const struct node *call, const struct args *args,
                 struct value *out, bool *found);
    bool (*get)(struct interp *in, const struct node *at, struct value object, struct str name,
                struct value *out);
    bool (*set)(struct interp *in, const struct node *at, struct value object, struct str name,
                struct value v);
    bool (*method)(struct interp *in, const struct node *call, struct value object, struct str name,
                   const struct args *args, struct value *out, bool *found);
    bool (*poll)(struct interp *in, const struct node *at);
    /* May put another value in place of one that the world gave by chance (the time, a random
     * number): a run that is repeated after a restart must see what it saw. */
    void (*settle)(struct interp *in, struct value *v);
};

/* A file of the tz database. */
struct zone_file {
    struct str name, bytes;
};
#define INTERP_ZONES_MAX 8 /* those of more zones are read each time */

struct interp {
    struct arena *arena;
    const struct interp_world *world;
    struct scope *globals; /* assigned without def, @Field, and functions' only outer scope */
    struct scope *scope;
    const struct node *methods[256];
    size_t method_count;
    struct class_info classes[INTERP_CLASSES_MAX];
    size_t class_count;
    struct zone_file zones[INTERP_ZONES_MAX];
    size_t zone_count;
    enum completion completion;
    struct str label;    /* of a break or continue: the loop it means, or empty */
    struct value result; /* of a return */
    struct exception *thrown;
    unsigned depth;
    size_t held; /* bytes of texts that are being made, of all lines of control; the arena does not have them yet */
    const char *stack_end; /* calls that reach below it are too deep; NULL: nobody looks */
    unsigned polls;
    bool polls_always; /* world->poll is to see each evaluation, not each 64th */
    /* Evaluations and payments of this line of control: the same in every run of a script. */
    uint64_t entered;
    unsigned evaluations, evaluations_max; /* since the last step */
};

void interp_init(struct interp *in, struct arena *arena, const struct interp_world *world);
/* Registers the functions of a file; they may be called before they are written. */
void interp_hoist(struct interp *in, const struct node *block);
bool interp_eval(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* As text, the way a string shows it. */
bool interp_eval_text(struct interp *in, const struct node *n, struct str *out) MUST_CHECK;
/* The statements of a node in a new scope; the value of the last one. */
bool interp_block(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_statement(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_call_closure(struct interp *in, const struct closure *c, const struct value *args,
                         size_t count, struct value *out) MUST_CHECK;
bool interp_args(struct interp *in, const struct node *call, struct args *out) MUST_CHECK;
/* object.name(args), as a script would call it. */
bool interp_call_method(struct interp *in, const struct node *at, struct value object,
                        struct str name, const struct args *args, struct value *out) MUST_CHECK;
/* A value as text; toString() of classes of the file is called. All that makes texts for a script goes
 * through these three: they count as evaluations what it takes, up to VALUE_TEXT_MAX. */
bool interp_to_text(struct interp *in, const struct node *at, struct value v,
                    struct str *out) MUST_CHECK;
/* Added to a buffer, until that has `most` bytes. */
bool interp_format(struct interp *in, const struct node *at, struct value v, size_t most,
                   struct strbuf *out) MUST_CHECK;
/* Where nothing can fail: no toString() of the file, and a text that is more than the script may
 * still cost is cut short. The evaluation that this is part of then ends with the error. */
struct str interp_text(struct interp *in, struct value v);
/* What comes by chance: the time of day, random bits, or another value. After a restart a build gets
 * what it got before (interp_world.settle). */
int64_t interp_now_ms(struct interp *in);
uint32_t interp_random_bits(struct interp *in);
struct value interp_settled(struct interp *in, struct value v);
/* Always false. */
bool interp_throw(struct interp *in, const struct node *at, const char *class_name,
                  const char *format, ...) PRINTF_LIKE(4, 5);
/* Forgets what was thrown and gives it; of a `break` with nothing to leave one is made. */
struct exception *interp_catch(struct interp *in);
bool interp_rethrow(struct interp *in, struct exception *e); /* always false */

/* operators.c */
bool operator_binary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                     struct value b, struct value *out) MUST_CHECK;
bool operator_unary(struct interp *in, const struct node *at, enum token_type op, struct value a,
                    struct value *out) MUST_CHECK;
/* -1, 0 or 1; of a class of the file by its compareTo(). */
bool operator_compare(struct interp *in, const struct node *at, struct value a, struct value b,
                      int *out) MUST_CHECK;
bool operator_in(struct interp *in, const struct node *at, struct value a, struct value b,
                 bool *out) MUST_CHECK;
bool operator_cast(struct interp *in, const struct node *at, struct value v, struct str type,
                   bool is_declaration, struct value *out) MUST_CHECK;
bool operator_instanceof(struct value v, struct str type);
/* methods*.c: `found` false if the value has no such method. */
bool method_call(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_text(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_text_more(struct interp *in, const struct node *call, struct value object,
                      struct str name, const struct args *args, struct value *out,
                      bool *found) MUST_CHECK;
/* "%5.2f|%-8s|%05d|%x": String.format and printf. */
bool method_format(struct interp *in, const struct node *at, const struct value *args, size_t count,
                   struct value *out) MUST_CHECK;
bool method_more(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_object(struct interp *in, const struct node *call, struct value object, struct str name,
                   const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool method_matcher(struct interp *in, const struct node *call, struct value object,
                    struct str name, const struct args *args, struct value *out,
                    bool *found) MUST_CHECK;
/* objects.c: `new Date()` ...; `found` false if there is no such class. */
bool object_new(struct interp *in, const struct node *at, struct str class_name,
                const struct args *args, struct value *out, bool *found) MUST_CHECK;
bool object_is_class(struct str name); /* one whose static methods or `new` we know */
bool object_matcher(struct interp *in, const struct node *at, struct str text, struct str pattern,
                    struct value *out) MUST_CHECK;
void object_append(struct interp *in, struct object *builder, struct str text);
bool object_static(struct interp *in, const struct node *call, struct str class_name,
                   struct str name, const struct args *args, struct value *out,
                   bool *found) MUST_CHECK;
/* objects_date.c: SimpleDateFormat's letters; `zone` is empty for the machine's own. */
#define DATE_DAY_MS ((int64_t)24 * 60 * 60 * 1000)
extern const char *const date_months[12], *const date_days[7]; /* "January", "Sunday" */
struct str date_format(struct interp *in, int64_t ms, struct str pattern, struct str zone);
struct value date_value(struct interp *in, int64_t ms);
/* What an argument names, as an object for it or as a text. */
struct str date_zone(struct interp *in, struct value v);
struct str date_pattern(struct interp *in, struct value v);
bool date_year_is_leap(int year);
/* Seconds east of Greenwich, at that time. */
int64_t date_offset(struct interp *in, int64_t seconds, struct str zone);
/* objects_time.c: by the same letters; a text without an offset is of that zone. */
bool date_parse(struct interp *in, const struct node *at, struct str text, struct str pattern,
                struct str zone, int64_t *ms_out) MUST_CHECK;
bool date_method(struct interp *in, const struct node *call, struct value object, struct str name,
                 const struct args *args, struct value *out, bool *found) MUST_CHECK;
/* objects_json.c */
bool json_to_value(struct interp *in, const struct node *at, struct str text,
                   struct value *out) MUST_CHECK;
bool json_from_value(struct interp *in, const struct node *at, struct value v, bool pretty,
                     struct value *out) MUST_CHECK;
bool method_static(struct interp *in, const struct node *call, struct str class_name,
                   struct str name, const struct args *args, struct value *out,
                   bool *found) MUST_CHECK;
/* regex_glue.c: PCRE2, which reads what Java's expressions mean; a search has a limit of steps.
 * All matches as texts; `with_groups`: as lists [whole, group 1, ...] if there are groups. */
bool regex_find_all(struct interp *in, const struct node *at, struct str text, struct str pattern,
                    bool with_groups, struct value *list_out) MUST_CHECK;
/* The same of a match of the whole text: one or none. */
bool regex_match_groups(struct interp *in, const struct node *at, struct str text,
                        struct str pattern, struct value *list_out) MUST_CHECK;
bool regex_group_number(struct interp *in, const struct node *at, struct str pattern,
                        struct str name, size_t *out) MUST_CHECK;
bool regex_matches(struct interp *in, const struct node *at, struct str text, struct str pattern,
                   bool *out) MUST_CHECK;
/* `with` is a text with $1, or a closure. */
bool regex_replace(struct interp *in, const struct node *at, struct str text, struct str pattern,
                   struct value with, bool all, struct str *out) MUST_CHECK;
bool regex_split(struct interp *in, const struct node *at, struct str text, struct str pattern,
                 int64_t limit, struct value *list_out) MUST_CHECK;
