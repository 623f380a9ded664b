"""The native half of `builtin`, as LLVM IR text: finding what was prepared for some arrays, and running it.

The functions have CPython's calling convention ``METH_FASTCALL``: self, the arguments' addresses, their number, and for
``METH_KEYWORDS`` the names of the last ones. All but one of those that they call are of CPython's stable interface;
of arrays and dtypes they read the heads. They run with Python's lock, which they let go while long kernels run.
"""

from __future__ import annotations

TEXT = """
%array = type { i64, ptr, ptr, i32, i32, ptr, ptr, ptr, ptr, i32 } ; references, type, elements, dimensions, -, extents,
; strides, base, dtype, flags
%dtype = type { i64, ptr, ptr, i32, i32 } ; references, type, type of elements, letters, number
%table = type { i64, i64, i64, i64, i64, i64, ptr, i64 } ; arrays given, made, of these returned, how many threads must
; be ready, bytes of the largest argument block, stages, the type of arrays, 1 if Python's lock is let go meanwhile
%stage = type { ptr, i64, i64, i64 } ; kernel, threads, addresses, numbers; then so many pairs of an array and
; an offset, and the numbers

declare ptr @PyTuple_New(i64)
declare ptr @PyTuple_GetItem(ptr, i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i64 @PyTuple_Size(ptr)
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare ptr @PyBytes_AsString(ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare ptr @PyErr_Occurred()
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare void @tensorlite_run(ptr, ptr, i64)
declare i64 @tensorlite_ready()
declare i64 @tensorlite_wanted()
declare i64 @llvm.umin.i64(i64, i64)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

; How arrays lie, as bytes: how many threads are wanted, then for each array its dtype's kind, letter, byte order and
; number, whether it is aligned, the number of dimensions, extents and strides. With keywords, a tuple of that, their
; names and values. Null without an error where one of the arguments is no plain array of type %type, or of a dtype that
; its number does not say all of: objects, strings, records and times have the numbers 17 to 22.
define internal ptr @key_of(ptr %type, ptr %given, i64 %count, ptr %names) nounwind {
  br label %measure
measure:
  %i = phi i64 [0, %0], [%next, %plain]
  %size = phi i64 [8, %0], [%larger, %plain]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %look, label %make
look:
  %seen.at = getelementptr ptr, ptr %given, i64 %i
  %seen = load ptr, ptr %seen.at
  %own.at = getelementptr %array, ptr %seen, i64 0, i32 1
  %own = load ptr, ptr %own.at
  %is.plain = icmp eq ptr %own, %type
  br i1 %is.plain, label %check, label %none
check:
  %type.of.elements.at = getelementptr %array, ptr %seen, i64 0, i32 8
  %type.of.elements = load ptr, ptr %type.of.elements.at
  %type.number.at = getelementptr %dtype, ptr %type.of.elements, i64 0, i32 4
  %type.number = load i32, ptr %type.number.at
  %from.objects = sub i32 %type.number, 17
  %says.all = icmp ugt i32 %from.objects, 5
  br i1 %says.all, label %plain, label %none
plain:
  %rank.at = getelementptr %array, ptr %seen, i64 0, i32 3
  %rank = load i32, ptr %rank.at
  %rank.wide = zext i32 %rank to i64
  %lists = shl i64 %rank.wide, 4
  %with.head = add i64 %lists, 16
  %larger = add i64 %size, %with.head
  %next = add i64 %i, 1
  br label %measure
make:
  %bytes = call ptr @PyBytes_FromStringAndSize(ptr null, i64 %size)
  %no.bytes = icmp eq ptr %bytes, null
  br i1 %no.bytes, label %none, label %begin
begin:
  %text = call ptr @PyBytes_AsString(ptr %bytes)
  %wanted = call i64 @tensorlite_wanted()
  store i64 %wanted, ptr %text
  %first = getelementptr i64, ptr %text, i64 1
  br label %describe
describe:
  %k = phi i64 [0, %begin], [%k.next, %take]
  %to = phi ptr [%first, %begin], [%to.next, %take]
  %k.more = icmp slt i64 %k, %count
  br i1 %k.more, label %take, label %described
take:
  %each.at = getelementptr ptr, ptr %given, i64 %k
  %each = load ptr, ptr %each.at
  %dtype.at = getelementptr %array, ptr %each, i64 0, i32 8
  %dtype = load ptr, ptr %dtype.at
  %letters.at = getelementptr %dtype, ptr %dtype, i64 0, i32 3
  %letters = load i32, ptr %letters.at
  store i32 %letters, ptr %to
  %number.at = getelementptr %dtype, ptr %dtype, i64 0, i32 4
  %number = load i32, ptr %number.at
  %number.to = getelementptr i32, ptr %to, i64 1
  store i32 %number, ptr %number.to
  %flags.at = getelementptr %array, ptr %each, i64 0, i32 9
  %flags = load i32, ptr %flags.at
  %aligned = and i32 %flags, 256 ; NPY_ARRAY_ALIGNED
  %dimensions.at = getelementptr %array, ptr %each, i64 0, i32 3
  %dimensions = load i32, ptr %dimensions.at
  %both = or i32 %aligned, %dimensions
  %both.wide = zext i32 %both to i64
  %both.to = getelementptr i64, ptr %to, i64 1
  store i64 %both.wide, ptr %both.to
  %wide = zext i32 %dimensions to i64
  %list = shl i64 %wide, 3
  %extents.at = getelementptr %array, ptr %each, i64 0, i32 5
  %extents = load ptr, ptr %extents.at
  %extents.to = getelementptr i64, ptr %to, i64 2
  call void @llvm.memcpy.p0.p0.i64(ptr %extents.to, ptr %extents, i64 %list, i1 false)
  %strides.at = getelementptr %array, ptr %each, i64 0, i32 6
  %strides = load ptr, ptr %strides.at
  %strides.to = getelementptr i8, ptr %extents.to, i64 %list
  call void @llvm.memcpy.p0.p0.i64(ptr %strides.to, ptr %strides, i64 %list, i1 false)
  %to.next = getelementptr i8, ptr %strides.to, i64 %list
  %k.next = add i64 %k, 1
  br label %describe
described:
  %named = icmp ne ptr %names, null
  br i1 %named, label %join, label %alone
alone:
  ret ptr %bytes
join:
  %values = call i64 @PyTuple_Size(ptr %names)
  %items = add i64 %values, 2
  %tuple = call ptr @PyTuple_New(i64 %items)
  %no.tuple = icmp eq ptr %tuple, null
  br i1 %no.tuple, label %drop, label %fill
drop:
  call void @Py_DecRef(ptr %bytes)
  br label %none
fill:
  %ignored = call i32 @PyTuple_SetItem(ptr %tuple, i64 0, ptr %bytes)
  call void @Py_IncRef(ptr %names)
  %ignored.too = call i32 @PyTuple_SetItem(ptr %tuple, i64 1, ptr %names)
  br label %add
add:
  %v = phi i64 [0, %fill], [%v.next, %put]
  %v.more = icmp slt i64 %v, %values
  br i1 %v.more, label %put, label %joined
put:
  %v.number = add i64 %count, %v
  %value.at = getelementptr ptr, ptr %given, i64 %v.number
  %value = load ptr, ptr %value.at
  call void @Py_IncRef(ptr %value)
  %v.place = add i64 %v, 2
  %ignored.value = call i32 @PyTuple_SetItem(ptr %tuple, i64 %v.place, ptr %value)
  %v.next = add i64 %v, 1
  br label %add
joined:
  ret ptr %tuple
none:
  ret ptr null
}

; self: (what was prepared, what to call where that has nothing, the type of arrays). Calls what was prepared for arrays
; that lie as these, and for these keywords.
define ptr @find(ptr %self, ptr %given, i64 %count, ptr %names) nounwind {
  %kept = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %type = call ptr @PyTuple_GetItem(ptr %self, i64 2)
  %key = call ptr @key_of(ptr %type, ptr %given, i64 %count, ptr %names)
  %no.key = icmp eq ptr %key, null
  br i1 %no.key, label %check, label %seek
seek:
  %found = call ptr @PyDict_GetItemWithError(ptr %kept, ptr %key)
  %nothing = icmp eq ptr %found, null
  br i1 %nothing, label %drop, label %use
drop:
  call void @Py_DecRef(ptr %key)
  br label %check
use: ; whoever runs meanwhile may forget it
  call void @Py_IncRef(ptr %found)
  call void @Py_DecRef(ptr %key)
  %result = call ptr @PyObject_Vectorcall(ptr %found, ptr %given, i64 %count, ptr null)
  call void @Py_DecRef(ptr %found)
  ret ptr %result
check:
  %error = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %fail, label %miss
miss:
  %missing = call ptr @PyTuple_GetItem(ptr %self, i64 1)
  %answer = call ptr @PyObject_Vectorcall(ptr %missing, ptr %given, i64 %count, ptr %names)
  ret ptr %answer
fail:
  ret ptr null
}

; self: (-, -, the type of arrays). Returns the key under which @find looks; () where there is none.
define ptr @key(ptr %self, ptr %given, i64 %count, ptr %names) nounwind {
  %type = call ptr @PyTuple_GetItem(ptr %self, i64 2)
  %key = call ptr @key_of(ptr %type, ptr %given, i64 %count, ptr %names)
  %no.key = icmp eq ptr %key, null
  br i1 %no.key, label %check, label %done
done:
  ret ptr %key
check:
  %error = call ptr @PyErr_Occurred()
  %failed = icmp ne ptr %error, null
  br i1 %failed, label %done, label %empty
empty:
  %nothing = call ptr @PyTuple_New(i64 0)
  ret ptr %nothing
}

; self: (table, what to call where the team is not ready or arguments are no arrays; then for each array to make: what
; makes it, its shape, its dtype). Makes arrays, runs the stages, returns the one result or a tuple.
define ptr @enter(ptr %self, ptr %given, i64 %count) nounwind {
  %bytes = call ptr @PyTuple_GetItem(ptr %self, i64 0)
  %table = call ptr @PyBytes_AsString(ptr %bytes)
  %expected = load i64, ptr %table
  %made.at = getelementptr %table, ptr %table, i64 0, i32 1
  %made = load i64, ptr %made.at
  %returned.at = getelementptr %table, ptr %table, i64 0, i32 2
  %returned = load i64, ptr %returned.at
  %wants.at = getelementptr %table, ptr %table, i64 0, i32 3
  %wants = load i64, ptr %wants.at
  %block.size.at = getelementptr %table, ptr %table, i64 0, i32 4
  %block.size = load i64, ptr %block.size.at
  %stages.at = getelementptr %table, ptr %table, i64 0, i32 5
  %stages = load i64, ptr %stages.at
  %type.at = getelementptr %table, ptr %table, i64 0, i32 6
  %type = load ptr, ptr %type.at
  %ready = call i64 @tensorlite_ready()
  %is.ready = icmp sge i64 %ready, %wants
  %is.expected = icmp eq i64 %count, %expected
  %starts = and i1 %is.ready, %is.expected
  br i1 %starts, label %prepare, label %other
prepare:
  %all = add i64 %expected, %made
  %addresses = alloca i64, i64 %all
  %arrays = alloca ptr, i64 %made
  %maker = alloca [2 x ptr]
  %block = alloca i8, i64 %block.size, align 16
  br label %read
read:
  %i = phi i64 [0, %prepare], [%i.next, %plain]
  %i.more = icmp slt i64 %i, %count
  br i1 %i.more, label %look, label %make
look:
  %seen.at = getelementptr ptr, ptr %given, i64 %i
  %seen = load ptr, ptr %seen.at
  %own.at = getelementptr %array, ptr %seen, i64 0, i32 1
  %own = load ptr, ptr %own.at
  %is.plain = icmp eq ptr %own, %type
  br i1 %is.plain, label %plain, label %other
plain:
  %data.at = getelementptr %array, ptr %seen, i64 0, i32 2
  %data = load i64, ptr %data.at
  %data.to = getelementptr i64, ptr %addresses, i64 %i
  store i64 %data, ptr %data.to
  %i.next = add i64 %i, 1
  br label %read
make:
  %j = phi i64 [0, %read], [%j.next, %keep]
  %j.more = icmp slt i64 %j, %made
  br i1 %j.more, label %create, label %run
create:
  %triple = mul i64 %j, 3
  %makes.place = add i64 %triple, 2
  %makes = call ptr @PyTuple_GetItem(ptr %self, i64 %makes.place)
  %shape.place = add i64 %triple, 3
  %shape = call ptr @PyTuple_GetItem(ptr %self, i64 %shape.place)
  store ptr %shape, ptr %maker
  %dtype.place = add i64 %triple, 4
  %dtype = call ptr @PyTuple_GetItem(ptr %self, i64 %dtype.place)
  %dtype.to = getelementptr ptr, ptr %maker, i64 1
  store ptr %dtype, ptr %dtype.to
  %fresh = call ptr @PyObject_Vectorcall(ptr %makes, ptr %maker, i64 2, ptr null)
  %lacks = icmp eq ptr %fresh, null
  br i1 %lacks, label %fail, label %keep
keep:
  %fresh.to = getelementptr ptr, ptr %arrays, i64 %j
  store ptr %fresh, ptr %fresh.to
  %fresh.data.at = getelementptr %array, ptr %fresh, i64 0, i32 2
  %fresh.data = load i64, ptr %fresh.data.at
  %fresh.place = add i64 %expected, %j
  %fresh.data.to = getelementptr i64, ptr %addresses, i64 %fresh.place
  store i64 %fresh.data, ptr %fresh.data.to
  %j.next = add i64 %j, 1
  br label %make
run:
  %first = getelementptr %table, ptr %table, i64 1
  %lets.go.at = getelementptr %table, ptr %table, i64 0, i32 7
  %lets.go = load i64, ptr %lets.go.at
  %lets = icmp ne i64 %lets.go, 0
  br i1 %lets, label %let.go, label %step
let.go:
  %state = call ptr @PyEval_SaveThread()
  br label %step
step:
  %python = phi ptr [null, %run], [%state, %let.go], [%python, %ran]
  %n = phi i64 [0, %run], [0, %let.go], [%n.next, %ran]
  %stage = phi ptr [%first, %run], [%first, %let.go], [%stage.next, %ran]
  %n.more = icmp slt i64 %n, %stages
  br i1 %n.more, label %open, label %return
open:
  %kernel = load ptr, ptr %stage
  %threads.at = getelementptr %stage, ptr %stage, i64 0, i32 1
  %threads = load i64, ptr %threads.at
  %touched.at = getelementptr %stage, ptr %stage, i64 0, i32 2
  %touched = load i64, ptr %touched.at
  %numbers.at = getelementptr %stage, ptr %stage, i64 0, i32 3
  %numbers = load i64, ptr %numbers.at
  %pairs = getelementptr %stage, ptr %stage, i64 1
  br label %place
place:
  %t = phi i64 [0, %open], [%t.next, %write]
  %pair = phi ptr [%pairs, %open], [%pair.next, %write]
  %t.more = icmp slt i64 %t, %touched
  br i1 %t.more, label %write, label %copy
write:
  %which = load i64, ptr %pair
  %offset.at = getelementptr i64, ptr %pair, i64 1
  %offset = load i64, ptr %offset.at
  %base.at = getelementptr i64, ptr %addresses, i64 %which
  %base = load i64, ptr %base.at
  %address = add i64 %base, %offset
  %address.to = getelementptr i64, ptr %block, i64 %t
  store i64 %address, ptr %address.to
  %pair.next = getelementptr i64, ptr %pair, i64 2
  %t.next = add i64 %t, 1
  br label %place
copy:
  %numbers.to = getelementptr i64, ptr %block, i64 %touched
  %numbers.size = shl i64 %numbers, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %numbers.to, ptr %pair, i64 %numbers.size, i1 false)
  %stage.next = getelementptr i64, ptr %pair, i64 %numbers
  %n.next = add i64 %n, 1
  %single = icmp eq i64 %threads, 1
  br i1 %single, label %serial, label %parallel
serial:
  call void %kernel(i64 0, i64 1, ptr %block)
  br label %ran
parallel:
  %most = call i64 @llvm.umin.i64(i64 %threads, i64 %ready)
  call void @tensorlite_run(ptr %kernel, ptr %block, i64 %most)
  br label %ran
ran:
  br label %step
return:
  br i1 %lets, label %take.back, label %results
take.back:
  call void @PyEval_RestoreThread(ptr %python)
  br label %results
results:
  %is.one = icmp eq i64 %returned, 1
  br i1 %is.one, label %one, label %several
one:
  %result = load ptr, ptr %arrays
  br label %drop
several:
  %tuple = call ptr @PyTuple_New(i64 %returned)
  %no.tuple = icmp eq ptr %tuple, null
  br i1 %no.tuple, label %fail, label %fill
fill:
  %f = phi i64 [0, %several], [%f.next, %put]
  %f.more = icmp slt i64 %f, %returned
  br i1 %f.more, label %put, label %drop
put:
  %each.at = getelementptr ptr, ptr %arrays, i64 %f
  %each = load ptr, ptr %each.at
  %ignored = call i32 @PyTuple_SetItem(ptr %tuple, i64 %f, ptr %each)
  %f.next = add i64 %f, 1
  br label %fill
drop:
  %answer = phi ptr [%result, %one], [%tuple, %fill], [null, %failed]
  %from = phi i64 [%returned, %one], [%returned, %fill], [0, %failed]
  %upto = phi i64 [%made, %one], [%made, %fill], [%there, %failed]
  br label %forget
forget:
  %d = phi i64 [%from, %drop], [%d.next, %release]
  %d.more = icmp slt i64 %d, %upto
  br i1 %d.more, label %release, label %done
release:
  %dropped.at = getelementptr ptr, ptr %arrays, i64 %d
  %dropped = load ptr, ptr %dropped.at
  call void @Py_DecRef(ptr %dropped)
  %d.next = add i64 %d, 1
  br label %forget
done:
  ret ptr %answer
fail:
  %there = phi i64 [%j, %create], [%made, %several]
  br label %failed
failed:
  br label %drop
other:
  %slow = call ptr @PyTuple_GetItem(ptr %self, i64 1)
  %slowly = call ptr @PyObject_Vectorcall(ptr %slow, ptr %given, i64 %count, ptr null)
  ret ptr %slowly
}
"""
