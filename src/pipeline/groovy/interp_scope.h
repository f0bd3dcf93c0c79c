/* SPDX-License-Identifier: MIT */
/* interp_scope.h - what interp.c (expressions), interp_place.c (what can be assigned to) and
 * interp_statement.c share. */
#pragma once
#include "pipeline/groovy/interp.h"

struct scope *scope_new(struct interp *in, struct scope *parent);
struct variable *scope_find(struct scope *s, struct str name); /* outwards; NULL: none */
struct variable *scope_declare(struct interp *in, struct scope *s, struct str name,
                               struct value value);
/* interp.c: calls with named arguments as a leading map. */
bool interp_call_with(struct interp *in, const struct closure *c, const struct args *args,
                      struct value *out) MUST_CHECK;
/* interp_method.c. Of the functions of a name the one whose declared types suit the arguments best; if
 * none does one that takes so many, or any: its parameters then say what is wrong. */
struct method_choice {
    const struct node *best, *taking, *named;
    int fit;
};
void method_consider(struct interp *in, const struct node *one, const struct args *args,
                     struct method_choice *choice);
bool method_takes(const struct node *method, size_t count); /* so many arguments */
const struct node *method_chosen(const struct method_choice *choice); /* NULL: there is none */
/* Among the functions of the file. */
const struct node *method_find(struct interp *in, struct str name, const struct args *args);
/* Declares the parameters of a function or closure in the present scope. */
bool method_bind(struct interp *in, const struct node *node, const struct value *args,
                 size_t count) MUST_CHECK;
/* Makes what a function gives of the type that it declares. */
bool method_result(struct interp *in, const struct node *node, struct value *out) MUST_CHECK;
/* interp_class.c: classes and enums of the file. */
struct class_info *class_find(struct interp *in, struct str name); /* NULL: none */
void class_register(struct interp *in, const struct node *n);
bool class_new(struct interp *in, const struct node *at, struct class_info *c,
               const struct args *args, struct value *out) MUST_CHECK;
/* A field, a constant of an enum, a getter; of the class itself if `object` is a HOST_CLASS. */
bool class_get(struct interp *in, const struct node *at, struct value object, struct str name,
               struct value *out, bool *found) MUST_CHECK;
bool class_set(struct interp *in, const struct node *at, struct value object, struct str name,
               struct value v, bool *found) MUST_CHECK;
bool class_call(struct interp *in, const struct node *at, struct value object, struct str name,
                const struct args *args, struct value *out, bool *found) MUST_CHECK;
/* super(...) or this(...), with which a constructor begins. */
bool class_super(struct interp *in, const struct node *at, struct str name,
                 const struct args *args) MUST_CHECK;
bool class_is(struct interp *in, struct value v, struct str type); /* or one it extends */
bool class_is_instance(struct value v); /* of a class of the file */
bool class_is_same(struct value a, struct value b); /* one such instance, not two that are equal */
/* interp_statement.c: or one that its class extends, in the file or of Java's. */
bool exception_is(struct interp *in, const struct exception *e, struct str type);
/* The message and the cause that a constructor is given. */
void exception_say(struct interp *in, struct exception *e, const struct args *args);
/* interp_place.c: what a delegate knows by a bare name. */
bool delegate_get(struct interp *in, const struct node *at, const struct value *delegate,
                  struct str name, struct value *out, bool *found) MUST_CHECK;
bool delegate_call(struct interp *in, const struct node *at, const struct value *delegate,
                   struct str name, const struct args *args, struct value *out,
                   bool *found) MUST_CHECK;
/* The nearest delegate; the first with `first`, NULL if there is none. */
const struct value *scope_delegate(const struct scope *s, bool first);
/* Work in C that grows with what the script holds counts as so many evaluations: every loop over a
 * list, a map or a text. False: the script has used up what it may, or the build was aborted. */
bool interp_spend(struct interp *in, const struct node *at, size_t count) MUST_CHECK;
#define VISITS_AN_EVALUATION 16 /* of values or of 64 bytes, in C */
/* How many values one walk may look at; and then what it has left of them is paid for, or the error is that
 * they did not do. */
unsigned interp_visits(const struct interp *in);
bool interp_visited(struct interp *in, const struct node *at, unsigned had, unsigned left,
                    const char *too_large) MUST_CHECK;
/* How many evaluations a walk over a value's items or bytes counts as. */
size_t interp_weight(struct value v);
/* Both weights, if there are any. */
bool interp_spend_for(struct interp *in, const struct node *at, struct value a,
                      struct value b) MUST_CHECK;
/* methods_sets.c. Adds to a list, or to a set what it has not yet. */
bool list_put(struct interp *in, const struct node *at, struct list *l, struct value v,
              bool *added) MUST_CHECK;
bool list_put_all(struct interp *in, const struct node *at, struct list *l,
                  const struct list *other, bool *changed) MUST_CHECK;
bool set_contains(struct interp *in, const struct node *at, struct list *set, struct value v,
                  bool *out) MUST_CHECK;
enum list_kind list_kind_of(struct str type); /* "Set", "String[]"; all others are LIST_PLAIN */
/* A copy. */
bool list_to_kind(struct interp *in, const struct node *at, const struct list *from,
                  enum list_kind kind, struct value *out) MUST_CHECK;
/* list - list, list - item. */
bool list_minus(struct interp *in, const struct node *at, const struct list *l, struct value cut,
                struct value *out) MUST_CHECK;
/* value_equal_within(), counted; equals() and compareTo() of the file's classes are asked. */
bool interp_equal(struct interp *in, const struct node *at, struct value a, struct value b,
                  enum equality mode, bool *out) MUST_CHECK;
/* methods_more.c: hashCode(), of the file's classes by theirs. */
bool interp_hash(struct interp *in, const struct node *at, struct value v,
                 uint32_t *out) MUST_CHECK;
/* Are there `size` bytes of stack left for what recurses by itself? False with an error thrown. */
bool interp_has_stack(struct interp *in, const struct node *at, size_t size) MUST_CHECK;
/* "No signature of method: X.name() is applicable for ...": always false. */
bool interp_no_method(struct interp *in, const struct node *at, const char *class_name,
                      struct str name, const struct args *args);
/* Counts the depth (the caller lowers it) and now and then asks whether to go on. */
bool interp_enter(struct interp *in, const struct node *at) MUST_CHECK;
/* `new Exception('x')` and the few other classes there are. */
bool interp_new(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* interp.c: a bare name. */
bool interp_name(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* methods_map.c. map_put() into a map of the script: a sorted one takes no keys that it cannot compare. */
bool interp_map_put(struct interp *in, const struct node *at, struct map *m, struct value key,
                    struct value v) MUST_CHECK;
/* The key as the map has it: one that is equal by its class is another instance. Looking for a list, a map or
 * an instance as a key is charged here. */
bool interp_map_key(struct interp *in, const struct node *at, const struct map *m,
                    struct value key, struct value *out) MUST_CHECK;
bool interp_map_put_all(struct interp *in, const struct node *at, struct map *m,
                        const struct map *from) MUST_CHECK;
/* A copy; a sorted one if that is so. */
bool map_copy(struct interp *in, const struct node *at, const struct map *from, bool is_sorted,
              struct value *out) MUST_CHECK;
bool map_type_is_sorted(struct str type); /* "TreeMap" */
/* Of keySet() and its like: the items that the map has now. */
bool map_view_refresh(struct interp *in, const struct node *at, struct list *l) MUST_CHECK;
/* objects.c: of an entry, and in its map. */
bool entry_set(struct interp *in, const struct node *at, const struct object *o,
               struct value v) MUST_CHECK;
/* interp_place.c: `a.b`, `a[b]`, `a = b` with its compound forms, `a++`. */
bool interp_property(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* m[key]; what withDefault gives is kept. */
bool interp_map_get(struct interp *in, const struct node *at, struct map *m, struct value key,
                    struct value *out) MUST_CHECK;
bool interp_index_value(struct interp *in, const struct node *n, struct value object,
                        struct value index, struct value *out) MUST_CHECK;
bool interp_index(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
bool interp_assign(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* Stores into a name, a property or an index. */
bool interp_assign_to(struct interp *in, const struct node *to, struct value v) MUST_CHECK;
bool interp_step(struct interp *in, const struct node *n, struct value *out) MUST_CHECK;
/* The name behind the dot: written there, or the text of `a."$b"`. */
bool interp_member_name(struct interp *in, const struct node *n, struct str *out) MUST_CHECK;
