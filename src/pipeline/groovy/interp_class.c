/* SPDX-License-Identifier: MIT */
/* interp_class.c - classes and enums that a Jenkinsfile (or a library) defines.
 * An instance is a V_OBJECT with its fields in a map; a class is a HOST_CLASS value by its name.
 * Inside a method the instance is a delegate that comes first, so fields and other methods are bare
 * names there.  A class extends one class of the file; interfaces are names only. */
#include "pipeline/groovy/interp_scope.h"

static const struct args no_args;

struct class_info *
class_find(struct interp *in, struct str name)
{
    for (size_t i = 0; i < in->class_count; i++)
        if (str_equal(in->classes[i].node->text, name))
            return &in->classes[i];
    return NULL;
}

void
class_register(struct interp *in, const struct node *n)
{
    if (class_find(in, n->text) == NULL && in->class_count < INTERP_CLASSES_MAX) {
        for (size_t i = 0; i < in->class_count; i++) /* it may be the parent of some */
            in->classes[i].is_known = false;
        in->classes[in->class_count++].node = n;
    }
    for (const struct node *inner = n->first; inner != NULL; inner = inner->next)
        if (inner->type == N_CLASS)
            class_register(in, inner);
}

bool
class_is_instance(struct value v)
{
    return value_instance(v) != NULL;
}

bool
class_is_same(struct value a, struct value b)
{
    return value_instance(a) != NULL && value_instance(a) == value_instance(b);
}

static struct value *
field_of(struct value v, struct str name)
{
    const struct object *o = value_instance(v);

    return o == NULL ? NULL : map_find(o->fields, value_text(name));
}

/* The class it extends; a chain longer than there are classes is a circle. */
static struct class_info *
parent_of(struct interp *in, const struct class_info *c)
{
    return c->node->type_text.len == 0 ? NULL : class_find(in, c->node->type_text);
}

static const struct node *
find_field(struct interp *in, const struct class_info *c, struct str name)
{
    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX; i++, c = parent_of(in, c))
        for (const struct node *n = c->node->first; n != NULL; n = n->next)
            if (n->type == N_DECLARE && str_equal(n->text, name))
                return n;
    return NULL;
}

/* `owner_out` (may be NULL): the class that has it. */
static const struct node *
find_method(struct interp *in, const struct class_info *c, struct str name,
            const struct args *args, bool is_static, const struct class_info **owner_out)
{
    struct method_choice choice = {0};
    const struct class_info *owner = NULL;

    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX && choice.best == NULL;
         i++, c = parent_of(in, c)) {
        for (const struct node *n = c->node->first; n != NULL; n = n->next)
            if (n->type == N_METHOD && !n->is_constructor && str_equal(n->text, name) &&
                (!is_static || n->is_static))
                method_consider(in, n, args, &choice);
        if (owner == NULL || choice.best != NULL)
            owner = choice.named == NULL ? NULL : c;
    }
    if (owner_out != NULL)
        *owner_out = owner;
    return method_chosen(&choice);
}

static struct value
class_as_value(const struct class_info *c)
{
    struct value v = value_host(HOST_CLASS);

    v.text = c->node->text;
    return v;
}

/* A scope whose bare names are the fields and methods of `self`. */
static struct scope *
self_scope(struct interp *in, struct value self)
{
    struct value *kept = arena_alloc(in->arena, sizeof(*kept));
    struct scope *s = scope_new(in, in->globals);

    *kept = self;
    s->delegate = kept;
    s->delegate_first = true;
    scope_declare(in, s, STR("this"), self);
    return s;
}

/* A method, in a scope in which `super` is the instance as the parent of `owner` knows it. */
static struct closure
method_of(struct interp *in, const struct node *method, const struct class_info *owner,
          struct value self)
{
    const struct closure c = {.node = method, .scope = self_scope(in, self)};
    struct class_info *parent = parent_of(in, owner);

    self.data = parent;
    if (self.type == V_EXCEPTION && parent == NULL) { /* Java's: it knows nothing of the class */
        self.exception = arena_alloc(in->arena, sizeof(*self.exception));
        *self.exception = *c.scope->delegate->exception;
        self.exception->object = NULL;
    }
    if (self.type == V_EXCEPTION || (parent != NULL && self.type == V_OBJECT))
        scope_declare(in, c.scope, STR("super"), self);
    return c;
}

static bool
run_method(struct interp *in, const struct node *method, const struct class_info *owner,
           struct value self, const struct args *args, struct value *out)
{
    const struct closure c = method_of(in, method, owner, self);

    return interp_call_with(in, &c, args, out);
}

/* All fields that a class and those it extends declare, with what they hold before anything is run. */
static bool
declare_fields(struct interp *in, const struct class_info *c, struct map *to, bool is_static,
               unsigned depth)
{
    const struct class_info *parent = is_static ? NULL : parent_of(in, c);

    if (depth > INTERP_CLASSES_MAX)
        return interp_throw(in, c->node, "ClassCircularityError",
                            "class '" STR_FMT "' extends itself", STR_ARG(c->node->text));
    if (parent != NULL && !declare_fields(in, parent, to, false, depth + 1))
        return false;
    for (const struct node *n = c->node->first; n != NULL; n = n->next) {
        struct value v = value_null();
        if (n->type != N_DECLARE || n->is_static != is_static)
            continue;
        if (str_is(n->type_text, "int") || str_is(n->type_text, "long"))
            v = value_int(0);
        else if (str_is(n->type_text, "boolean"))
            v = value_bool(false);
        map_put(in->arena, to, value_text(n->text), v);
    }
    return true;
}

/* The values that a class gives to its own fields. */
static bool
set_fields(struct interp *in, const struct class_info *c, struct value self, struct map *to,
           bool is_static)
{
    struct scope *before = in->scope;
    bool ok = true;

    in->scope = self_scope(in, self);
    for (const struct node *n = c->node->first; n != NULL && ok; n = n->next) {
        struct value v;
        if (n->type != N_DECLARE || n->is_static != is_static || n->b == NULL)
            continue;
        ok = interp_eval(in, n->b, &v) && (n->type_text.len == 0 || v.type == V_NULL ||
                                           operator_cast(in, n, v, n->type_text, true, &v));
        if (ok)
            map_put(in->arena, to, value_text(n->text), v);
    }
    in->scope = before;
    return ok;
}

static bool
make_constants(struct interp *in, struct class_info *c)
{
    struct value all = value_list(in->arena);

    for (const struct node *n = c->node->params; n != NULL; n = n->next) {
        struct args args;
        struct value one;
        if (!interp_args(in, n, &args) || !class_new(in, n, c, &args, &one))
            return false;
        map_put_text(in->arena, one.object->fields, "$name", value_text(n->text));
        map_put_text(in->arena, one.object->fields, "$ordinal",
                     value_int((int64_t)all.list->count));
        map_put(in->arena, c->statics, value_text(n->text), one);
        list_add(in->arena, all.list, one);
    }
    if (c->node->is_enum)
        map_put_text(in->arena, c->statics, "$values", all);
    return true;
}

/* Makes what belongs to the class itself and to those it extends, at its first use. */
static bool
prepare(struct interp *in, struct class_info *c)
{
    struct class_info *parent = parent_of(in, c);

    if (c->statics != NULL)
        return true;
    if (c->node->b != NULL)
        return interp_throw(in, c->node->b, "UnsupportedFeature", STR_FMT " is not supported",
                            STR_ARG(c->node->b->text));
    c->statics = arena_alloc(in->arena, sizeof(*c->statics));
    return (parent == NULL || prepare(in, parent)) &&
           declare_fields(in, c, c->statics, true, 0) &&
           set_fields(in, c, class_as_value(c), c->statics, true) && make_constants(in, c);
}

/* What it extends in the end, if that is an exception; empty: it is none. */
static struct str
root_exception(struct interp *in, const struct class_info *c)
{
    struct str root = {0};

    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX; i++, c = parent_of(in, c))
        root = c->node->type_text;
    return str_ends(root, STR("Exception")) || str_ends(root, STR("Error")) ||
                   str_is(root, "Throwable")
               ? root
               : (struct str){0};
}

void
exception_say(struct interp *in, struct exception *e, const struct args *args)
{
    const struct value *first = args->count > 0 ? &args->at[0] : NULL;

    e->has_no_message = first == NULL || first->type == V_NULL;
    e->message = e->has_no_message ? STR("null") : interp_text(in, *first);
    for (size_t i = 0; i < args->count && i < 2; i++)
        if (args->at[i].type == V_EXCEPTION)
            e->because = args->at[i].exception;
}

static bool
no_constructor(struct interp *in, const struct node *at, const struct class_info *c,
               const struct args *args)
{
    cleanup(strbuf_done) struct strbuf types = {0};

    for (size_t i = 0; i < args->count; i++)
        strbuf_addf(&types, "%s%s", i == 0 ? "" : ", ", value_type_name(args->at[i]));
    return interp_throw(in, at, "GroovyRuntimeException",
                        "Could not find matching constructor for: " STR_FMT "(%s)",
                        STR_ARG(c->node->text), strbuf_cstr(&types));
}

static bool
has_method(struct interp *in, const struct class_info *c, const char *name)
{
    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX; i++, c = parent_of(in, c))
        for (const struct node *n = c->node->first; n != NULL; n = n->next)
            if (n->type == N_METHOD && !n->is_static && str_is(n->text, name))
                return true;
    return false;
}

/* What its instances can be asked. */
static void
learn(struct interp *in, struct class_info *c)
{
    const bool is_equal = has_method(in, c, "equals");

    c->is_known = true;
    c->is_ordered = has_method(in, c, "compareTo");
    c->is_asked = is_equal || c->is_ordered;
    c->is_hashed = is_equal && has_method(in, c, "hashCode");
}

/* An instance with no fields yet. */
static struct value
make_instance(struct interp *in, const struct node *at, struct class_info *c)
{
    struct value self = value_object(in->arena, "");
    struct exception *e;

    if (!c->is_known)
        learn(in, c);
    self.object->class_name = arena_dup(in->arena, c->node->text);
    self.object->class_node = c->node;
    self.object->is_asked = c->is_asked;
    self.object->is_ordered = c->is_ordered;
    self.object->is_hashed = c->is_hashed;
    self.object->number = (int64_t)in->entered; /* the same in each run of a script */
    if (root_exception(in, c).len == 0)
        return self;
    e = arena_alloc(in->arena, sizeof(*e));
    e->class_name = self.object->class_name;
    e->object = self.object;
    e->message = STR("null");
    e->has_no_message = true;
    e->line = at->line;
    e->column = at->column;
    return (struct value){.type = V_EXCEPTION, .exception = e};
}

/* new Point(1, 2) of @TupleConstructor: the fields in their order. */
static bool
set_in_order(struct interp *in, const struct node *at, const struct class_info *c,
             struct value self, const struct args *args)
{
    const struct node *field = c->node->first;
    size_t i = 0;

    for (; field != NULL && i < args->count; field = field->next) {
        struct value v = args->at[i];
        if (field->type != N_DECLARE || field->is_static)
            continue;
        if (field->type_text.len > 0 && v.type != V_NULL &&
            !operator_cast(in, at, v, field->type_text, true, &v))
            return false;
        map_put(in->arena, value_instance(self)->fields, value_text(field->text), v);
        i++;
    }
    return i == args->count || no_constructor(in, at, c, args);
}

static bool set_member(struct interp *in, const struct node *at, struct value object,
                       struct str name, struct value v, bool *found);

/* new Point(x: 1, y: 2) without a constructor that takes it. */
static bool
set_named(struct interp *in, const struct node *at, struct value self, const struct map *named)
{
    for (size_t i = 0; i < named->count; i++) {
        bool found = false;
        struct str name = interp_text(in, named->at[i].key);
        if (!set_member(in, at, self, name, named->at[i].value, &found))
            return false;
        if (!found)
            return interp_throw(in, at, "MissingPropertyException",
                                "No such property: " STR_FMT " for class: " STR_FMT, STR_ARG(name),
                                STR_ARG(value_instance(self)->class_name));
    }
    return true;
}

/* The constructor that takes the arguments; NULL: none does. */
static const struct node *
find_constructor(struct interp *in, const struct class_info *c, const struct args *args)
{
    struct method_choice choice = {0};

    for (const struct node *n = c->node->first; n != NULL; n = n->next)
        if (n->type == N_METHOD && n->is_constructor)
            method_consider(in, n, args, &choice);
    return choice.best != NULL ? choice.best : choice.taking;
}

static bool
has_constructor(const struct class_info *c)
{
    const struct node *n = c->node->first;

    while (n != NULL && !(n->type == N_METHOD && n->is_constructor))
        n = n->next;
    return n != NULL;
}

/* Does it begin with this(...) or super(...)? */
static bool
calls_constructor(const struct node *constructor)
{
    const struct node *first = constructor->first;

    return first != NULL && first->type == N_CALL && first->a == NULL &&
           (str_is(first->text, "this") || str_is(first->text, "super"));
}

static bool construct(struct interp *in, const struct node *at, struct class_info *c,
                      struct value self, const struct args *args);

/* What super() calls that nobody wrote, and then the values of the fields. */
static bool
construct_parent(struct interp *in, const struct node *at, const struct class_info *c,
                 struct value self)
{
    struct class_info *parent = parent_of(in, c);

    if (parent != NULL && has_constructor(parent) && find_constructor(in, parent, &no_args) == NULL)
        return interp_throw(in, at, "NoSuchMethodError",
                            STR_FMT ": method 'void <init>()' not found",
                            STR_ARG(parent->node->text));
    return (parent == NULL || construct(in, at, parent, self, &no_args)) &&
           set_fields(in, c, self, value_instance(self)->fields, false);
}

/* Of what it begins with class_super() takes care: that is told by `new`, which no script can name, whose
 * constructor it is. */
static bool
run_constructor(struct interp *in, const struct node *at, const struct node *constructor,
                const struct class_info *c, struct value self, const struct args *args)
{
    const struct closure body = method_of(in, constructor, c, self);
    struct value ignored;

    if (calls_constructor(constructor))
        scope_declare(in, body.scope, STR("new"), class_as_value(c));
    else if (!construct_parent(in, at, c, self))
        return false;
    return interp_call_with(in, &body, args, &ignored);
}

/* Of a class without a constructor. Exceptions hand on what they are given, as with
 * @InheritConstructors. */
static bool
construct_by_default(struct interp *in, const struct node *at, const struct class_info *c,
                     struct value self, const struct args *args)
{
    const bool is_tuple = (c->node->transforms & TRANSFORM_TUPLE) != 0;
    struct class_info *parent = parent_of(in, c);

    if (args->count > 0 && !is_tuple && self.type == V_EXCEPTION) {
        if (parent == NULL)
            exception_say(in, self.exception, args);
        return (parent == NULL || construct(in, at, parent, self, args)) &&
               set_fields(in, c, self, value_instance(self)->fields, false);
    }
    if (!construct_parent(in, at, c, self))
        return false;
    if (args->count > 0)
        return is_tuple ? set_in_order(in, at, c, self, args) : no_constructor(in, at, c, args);
    return args->named == NULL || set_named(in, at, self, args->named);
}

/* Makes of an instance what `c` says of it: of it, of its parent first, and so on. */
static bool
construct(struct interp *in, const struct node *at, struct class_info *c, struct value self,
          const struct args *args)
{
    const struct node *constructor = find_constructor(in, c, args);
    const struct node *plain = find_constructor(in, c, &no_args);
    bool ok;

    if (!interp_enter(in, at))
        return false;
    if (!prepare(in, c))
        ok = false;
    else if (!has_constructor(c))
        ok = construct_by_default(in, at, c, self, args);
    else if (constructor != NULL)
        ok = run_constructor(in, at, constructor, c, self, args);
    else if (plain != NULL && args->named != NULL && args->count == 0)
        ok = run_constructor(in, at, plain, c, self, &no_args) &&
             set_named(in, at, self, args->named);
    else
        ok = no_constructor(in, at, c, args);
    in->depth--;
    return ok;
}

bool
class_new(struct interp *in, const struct node *at, struct class_info *c, const struct args *args,
          struct value *out)
{
    const struct value self = make_instance(in, at, c);

    *out = self;
    return declare_fields(in, c, value_instance(self)->fields, false, 0) &&
           construct(in, at, c, self, args);
}

static struct class_info *
class_of(struct interp *in, struct value object)
{
    if (object.type == V_HOST && object.host == HOST_CLASS)
        return class_find(in, object.text);
    if ((object.type == V_OBJECT || object.type == V_EXCEPTION) && object.data != NULL) /* super */
        return (struct class_info *)(uintptr_t)object.data;
    return class_is_instance(object) ? class_find(in, value_instance(object)->class_name) : NULL;
}

static struct value *
find_static(struct interp *in, struct class_info *c, struct str name)
{
    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX; i++, c = parent_of(in, c)) {
        struct value *v = c->statics == NULL ? NULL : map_find(c->statics, value_text(name));
        if (v != NULL)
            return v;
    }
    return NULL;
}

static bool
call_accessor(struct interp *in, struct value object, struct class_info *c, const char *prefix,
              struct str name, const struct args *args, struct value *out, bool *found)
{
    const struct class_info *owner;
    const struct node *method;
    const char *full;

    if (name.len == 0 || name.at[0] < 'a' || name.at[0] > 'z')
        return true;
    full = arena_format(in->arena, "%s%c" STR_FMT, prefix, name.at[0] - 0x20,
                        STR_ARG(str_slice(name, 1, name.len)));
    method = find_method(in, c, str_of(full), args, object.type == V_HOST, &owner);
    if (method == NULL)
        return true;
    *found = true;
    return run_method(in, method, owner, object, args, out);
}

bool
class_get(struct interp *in, const struct node *at, struct value object, struct str name,
          struct value *out, bool *found)
{
    struct class_info *c = class_of(in, object);
    const struct value *v;

    if (c == NULL)
        return true;
    if (!interp_enter(in, at))
        return false;
    in->depth--;
    if (!prepare(in, c))
        return false;
    v = field_of(object, name);
    if (v == NULL)
        v = find_static(in, c, name);
    *found = v != NULL;
    if (*found) {
        *out = *v;
        return true;
    }
    return call_accessor(in, object, c, "get", name, &no_args, out, found);
}

bool
class_set(struct interp *in, const struct node *at, struct value object, struct str name,
          struct value v, bool *found)
{
    const struct class_info *c = class_of(in, object);

    if (c != NULL && (c->node->transforms & TRANSFORM_FINAL) != 0 && field_of(object, name) != NULL)
        return interp_throw(in, at, "ReadOnlyPropertyException",
                            "Cannot set readonly property: " STR_FMT " for class: " STR_FMT,
                            STR_ARG(name), STR_ARG(c->node->text));
    return set_member(in, at, object, name, v, found);
}

static bool
set_member(struct interp *in, const struct node *at, struct value object, struct str name,
           struct value v, bool *found)
{
    struct class_info *c = class_of(in, object);
    struct args args = {.at = {v}, .count = 1};
    struct value *place, ignored;
    const struct node *field;

    if (c == NULL)
        return true;
    if (!prepare(in, c))
        return false;
    place = field_of(object, name);
    if (place == NULL)
        place = find_static(in, c, name);
    if (place == NULL)
        return call_accessor(in, object, c, "set", name, &args, &ignored, found);
    *found = true;
    field = find_field(in, c, name);
    if (field != NULL && field->type_text.len > 0 && v.type != V_NULL &&
        !operator_cast(in, at, v, field->type_text, true, &v))
        return false;
    *place = v;
    return true;
}

/* What every enum has. */
static bool
call_enum(struct interp *in, const struct node *at, struct value object, struct class_info *c,
          struct str name, const struct args *args, struct value *out, bool *found)
{
    const struct value *v;

    *found = true;
    if (object.type == V_OBJECT && args->count == 0 &&
        (str_is(name, "name") || str_is(name, "toString") || str_is(name, "ordinal"))) {
        v = map_find_text(object.object->fields, str_is(name, "ordinal") ? "$ordinal" : "$name");
        *out = v == NULL ? value_null() : *v;
        return true;
    }
    if (object.type == V_HOST && str_is(name, "values") && args->count == 0) {
        v = map_find_text(c->statics, "$values");
        *out = v == NULL ? value_list(in->arena)
                         : *v; /* its constants are being made, or could not be */
        return true;
    }
    if (object.type == V_HOST && str_is(name, "valueOf") && args->count == 1) {
        v = map_find(c->statics, value_text(interp_text(in, args->at[0])));
        if (v == NULL)
            return interp_throw(in, at, "IllegalArgumentException",
                                "No enum constant " STR_FMT "." STR_FMT, STR_ARG(c->node->text),
                                STR_ARG(interp_text(in, args->at[0])));
        *out = *v;
        return true;
    }
    *found = false;
    return true;
}

/* @ToString: Point(1, 2), or Point(x:1, y:2). */
static bool
show_fields(struct interp *in, const struct node *at, const struct class_info *c,
            const struct object *o, struct value *out, bool *found)
{
    cleanup(strbuf_done) struct strbuf text = {0};
    const char *between = "";
    const struct value *v;

    *found = true;
    strbuf_addf(&text, STR_FMT "(", STR_ARG(c->node->text));
    for (const struct node *n = c->node->first; n != NULL; n = n->next) {
        if (n->type != N_DECLARE || n->is_static)
            continue;
        strbuf_add_cstr(&text, between);
        between = ", ";
        if ((c->node->transforms & TRANSFORM_NAMES) != 0)
            strbuf_addf(&text, STR_FMT ":", STR_ARG(n->text));
        if (!interp_enter(in, at))
            return false;
        in->depth--;
        v = map_find(o->fields, value_text(n->text)); /* NULL: `load` brought this class after the object */
        if (!interp_format(in, at, v == NULL ? value_null() : *v, INTERP_TEXT_MAX, &text))
            return false;
        if (text.len > INTERP_TEXT_MAX)
            return interp_throw(in, at, "OutOfMemoryError", "the string is too long");
    }
    strbuf_add_char(&text, ')');
    *out = value_text(arena_dup(in->arena, strbuf_str(&text)));
    return true;
}

bool
class_call(struct interp *in, const struct node *at, struct value object, struct str name,
           const struct args *args, struct value *out, bool *found)
{
    struct class_info *c = class_of(in, object);
    const struct class_info *owner;
    const struct node *method;
    const struct value *field;

    if (c == NULL)
        return true;
    if (!prepare(in, c))
        return false;
    method = find_method(in, c, name, args, object.type == V_HOST, &owner);
    if (method != NULL) {
        *found = true;
        object.data = NULL;
        return run_method(in, method, owner, object, args, out);
    }
    field = field_of(object, name);
    if (field == NULL)
        field = find_static(in, c, name);
    if (field != NULL && field->type == V_CLOSURE) {
        *found = true;
        return interp_call_with(in, field->closure, args, out);
    }
    if (args->count == 0 && name.len > 3 && str_starts(name, STR("get"))) { /* of a property */
        cleanup_free char *property = str_dup(str_slice(name, 3, name.len));
        property[0] = (char)(property[0] | 0x20);
        field = field_of(object, str_of(property));
        *found = field != NULL;
        if (*found)
            *out = *field;
        return true;
    }
    if (c->node->is_enum)
        return call_enum(in, at, object, c, name, args, out, found);
    return (c->node->transforms & TRANSFORM_TEXT) == 0 || object.type != V_OBJECT ||
           args->count > 0 || !str_is(name, "toString") ||
           show_fields(in, at, c, object.object, out, found);
}

bool
class_super(struct interp *in, const struct node *at, struct str name, const struct args *args)
{
    struct variable *new = scope_find(in->scope, STR("new"));
    const struct variable *this = scope_find(in->scope, STR("this"));
    struct class_info *c, *parent;

    if (new == NULL || new->value.type == V_NULL || this == NULL)
        return interp_throw(in, at, "MultipleCompilationErrorsException",
                            "Constructor call must be the first statement in a constructor.");
    c = class_find(in, new->value.text);
    new->value = value_null();
    if (str_is(name, "this"))
        return construct(in, at, c, this->value, args);
    parent = parent_of(in, c);
    if (parent != NULL && !construct(in, at, parent, this->value, args))
        return false;
    if (parent == NULL && this->value.type == V_EXCEPTION) /* Java's */
        exception_say(in, this->value.exception, args);
    return set_fields(in, c, this->value, value_instance(this->value)->fields, false);
}

bool
class_is(struct interp *in, struct value v, struct str type)
{
    struct class_info *c = class_is_instance(v) ? class_of(in, v) : NULL;

    if (v.type == V_EXCEPTION)
        return exception_is(in, v.exception, type);
    for (size_t i = 0; c != NULL && i <= INTERP_CLASSES_MAX; i++, c = parent_of(in, c))
        if (str_equal(c->node->text, type) || str_equal(c->node->type_text, type))
            return true;
    return false;
}
