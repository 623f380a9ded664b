"""The native half of the thread team, as LLVM IR text: parking, running a job, the barrier.

One job at a time belongs to the team. The caller writes the job, posts a share to each worker (``word`` 0 -> 1), runs
share 0 itself, then takes back and runs the shares that no worker has started (so that on a busy machine a run costs
no more than its work), and waits for the rest. A worker that takes its share (1 -> 0, one atomic exchange) may read
the job until it reports the share done. Waiting is a bounded spin, then a futex. The woken wake others, as in a tree.
``busy`` keeps a second caller out: it runs serially.
"""

from __future__ import annotations

import platform
import sys

MAX_THREADS = 128

_CALLS = {  # Linux' numbers
    "x86_64": {"futex": 202, "gettid": 186, "setaffinity": 203, "getaffinity": 204},
    "aarch64": {"futex": 98, "gettid": 178, "setaffinity": 122, "getaffinity": 123},
}
_PAUSE = {"x86_64": ("@llvm.x86.sse2.pause", "", ""), "aarch64": ("@llvm.aarch64.isb", "i32", "i32 15")}

_PARALLEL = """
; word (0 idle, 1 posted), asleep, thread, 1 + the core that it keeps away from; neighbours share no cache line
%slot = type {{ i32, i32, i32, i32, [112 x i8] }}
@slots = internal global [{max_threads} x %slot] zeroinitializer, align 128
@allowed = internal global [{max_threads} x [128 x i8]] zeroinitializer, align 128
@busy = internal global i32 0, align 128
@job_entry = internal global ptr null, align 128
@job_arguments = internal global ptr null
@job_threads = internal global i64 0
@job_core = internal global i32 0
@pending = internal global i32 0, align 128
@caller_asleep = internal global i32 0
@barrier_count = internal global i32 0, align 128
@barrier_phase = internal global i32 0, align 128
@barrier_asleep = internal global i32 0
@ready = internal global i32 0, align 128
@spins = internal global i32 0

declare i64 @syscall(i64, ...)
declare i32 @sched_getcpu()
declare void {pause}({pause_type})

define internal void @await_change(ptr %word, i32 %unwanted, ptr %asleep) nounwind {{
  %limit = load i32, ptr @spins
  br label %spin
spin:
  %count = phi i32 [0, %0], [%next, %again], [0, %wait]
  %seen = load atomic i32, ptr %word seq_cst, align 4
  %changed = icmp ne i32 %seen, %unwanted
  br i1 %changed, label %done, label %bound
bound:
  %spent = icmp sge i32 %count, %limit
  br i1 %spent, label %sleep, label %again
again:
  call void {pause}({pause_argument})
  %next = add i32 %count, 1
  br label %spin
sleep:
  %before = atomicrmw add ptr %asleep, i32 1 seq_cst
  br label %check
check:
  %now = load atomic i32, ptr %word seq_cst, align 4
  %woken = icmp ne i32 %now, %unwanted
  br i1 %woken, label %rise, label %wait
wait: ; FUTEX_WAIT_PRIVATE; returns at once if the word has changed, and on signals; who is woken looks out anew
  %ignored = call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i64 128, i32 %unwanted, ptr null, ptr null, i64 0)
  %up = atomicrmw sub ptr %asleep, i32 1 seq_cst
  br label %spin
rise:
  %after = atomicrmw sub ptr %asleep, i32 1 seq_cst
  ret void
done:
  ret void
}}

define internal void @wake(ptr %word, ptr %asleep, i32 %number) nounwind {{
  %sleepers = load atomic i32, ptr %asleep seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %call, label %done
call: ; FUTEX_WAKE_PRIVATE
  %ignored = call i64 (i64, ...) @syscall(i64 {futex}, ptr %word, i64 129, i32 %number, ptr null, ptr null, i64 0)
  br label %done
done:
  ret void
}}

; Keeps a worker away from a core, that of the thread that wakes it: woken there, it would wait until the other has done
; all the work. The kernel takes an idle core often, not always, and for milliseconds moves none.
define internal void @keep_away_from(i64 %index, i32 %core) nounwind {{
  %rest = alloca [128 x i8], align 8
  %away = getelementptr %slot, ptr @slots, i64 %index, i32 3
  %number = add i32 %core, 1
  %kept = atomicrmw xchg ptr %away, i32 %number seq_cst
  %other = icmp ne i32 %kept, %number
  %inside = icmp ult i32 %core, 1024
  %both = and i1 %other, %inside
  br i1 %both, label %find, label %done
find:
  %thread.place = getelementptr %slot, ptr @slots, i64 %index, i32 2
  %thread = load i32, ptr %thread.place
  %cores = getelementptr [128 x i8], ptr @allowed, i64 %index
  call void @llvm.memcpy.p0.p0.i64(ptr %rest, ptr %cores, i64 128, i1 false)
  %wide = zext i32 %core to i64
  %byte = lshr i64 %wide, 3
  %place = getelementptr i8, ptr %rest, i64 %byte
  %bit = and i32 %core, 7
  %bits = shl i32 1, %bit
  %narrow = trunc i32 %bits to i8
  %others = xor i8 %narrow, -1
  %before = load i8, ptr %place
  %after = and i8 %before, %others
  store i8 %after, ptr %place
  br label %search
search:
  %i = phi i64 [0, %find], [%next, %search.next]
  %here = getelementptr i8, ptr %rest, i64 %i
  %value = load i8, ptr %here
  %any = icmp ne i8 %value, 0
  br i1 %any, label %move, label %search.next
search.next:
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, 128
  br i1 %more, label %search, label %done
move:
  %ignored = call i64 (i64, ...) @syscall(i64 {setaffinity}, i32 %thread, i64 128, ptr %rest)
  br label %done
done:
  ret void
}}

define internal void @wake_worker(i64 %index) nounwind {{
  %word = getelementptr %slot, ptr @slots, i64 %index, i32 0
  %asleep = getelementptr %slot, ptr @slots, i64 %index, i32 1
  %sleepers = load atomic i32, ptr %asleep seq_cst, align 4
  %any = icmp ne i32 %sleepers, 0
  br i1 %any, label %look, label %done
look:
  %here = call i32 @sched_getcpu()
  call void @keep_away_from(i64 %index, i32 %here)
  call void @wake(ptr %word, ptr %asleep, i32 1)
  br label %done
done:
  ret void
}}

define internal void @wake_children(i64 %index) nounwind {{
  %first = shl i64 %index, 1
  br label %loop
loop:
  %k = phi i64 [1, %0], [%next, %step]
  %child = add i64 %first, %k
  %exists = icmp ult i64 %child, {max_threads}
  br i1 %exists, label %look, label %done
look:
  %word = getelementptr %slot, ptr @slots, i64 %child, i32 0
  %state = load atomic i32, ptr %word seq_cst, align 4
  %posted = icmp eq i32 %state, 1
  br i1 %posted, label %rouse, label %step
rouse:
  call void @wake_worker(i64 %child)
  br label %step
step:
  %next = add i64 %k, 1
  %more = icmp ule i64 %next, 2
  br i1 %more, label %loop, label %done
done:
  ret void
}}

; A worker's life: it never returns.
define void @worker(i64 %index) nounwind {{
  %word = getelementptr %slot, ptr @slots, i64 %index, i32 0
  %asleep = getelementptr %slot, ptr @slots, i64 %index, i32 1
  %thread.place = getelementptr %slot, ptr @slots, i64 %index, i32 2
  %thread = call i64 (i64, ...) @syscall(i64 {gettid})
  %thread.narrow = trunc i64 %thread to i32
  store i32 %thread.narrow, ptr %thread.place
  %cores = getelementptr [128 x i8], ptr @allowed, i64 %index
  %bytes = call i64 (i64, ...) @syscall(i64 {getaffinity}, i32 0, i64 128, ptr %cores)
  %number = atomicrmw add ptr @ready, i32 1 seq_cst
  br label %loop
loop:
  call void @await_change(ptr %word, i32 0, ptr %asleep)
  %taken = cmpxchg ptr %word, i32 1, i32 0 seq_cst seq_cst
  %mine = extractvalue {{ i32, i1 }} %taken, 1
  br i1 %mine, label %run, label %loop
run: ; only now: before the share was taken, the others of this job may not have been posted
  call void @wake_children(i64 %index)
  %caller.core = load i32, ptr @job_core
  %core = call i32 @sched_getcpu()
  %together = icmp eq i32 %core, %caller.core
  br i1 %together, label %part, label %work
part:
  call void @keep_away_from(i64 %index, i32 %core)
  br label %work
work:
  %entry = load ptr, ptr @job_entry
  %arguments = load ptr, ptr @job_arguments
  %threads = load i64, ptr @job_threads
  call void %entry(i64 %index, i64 %threads, ptr %arguments)
  %left = atomicrmw sub ptr @pending, i32 1 seq_cst
  %last = icmp eq i32 %left, 1
  br i1 %last, label %report, label %loop
report:
  call void @wake(ptr @pending, ptr @caller_asleep, i32 1)
  br label %loop
}}

; At most as many threads as there are: while the size changes, more may be asked for.
define void @run(ptr %entry, ptr %arguments, i64 %wanted) nounwind {{
  %workers = load atomic i32, ptr @ready seq_cst, align 4
  %workers.wide = zext i32 %workers to i64
  %most = add i64 %workers.wide, 1
  %threads = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  %parallel = icmp sgt i64 %threads, 1
  br i1 %parallel, label %enter, label %serial
serial:
  call void %entry(i64 0, i64 1, ptr %arguments)
  ret void
enter:
  %taken = cmpxchg ptr @busy, i32 0, i32 1 seq_cst seq_cst
  %mine = extractvalue {{ i32, i1 }} %taken, 1
  br i1 %mine, label %publish, label %serial
publish:
  store ptr %entry, ptr @job_entry
  store ptr %arguments, ptr @job_arguments
  store i64 %threads, ptr @job_threads
  %core = call i32 @sched_getcpu()
  store i32 %core, ptr @job_core
  %narrow = trunc i64 %threads to i32
  %others = sub i32 %narrow, 1
  store atomic i32 %others, ptr @pending seq_cst, align 4
  br label %post
post: ; from the last to the first: who is awake and starts at once must find posted those whom it wakes
  %above = phi i64 [%threads, %publish], [%i, %post]
  %i = sub i64 %above, 1
  %post.word = getelementptr %slot, ptr @slots, i64 %i, i32 0
  %idle = atomicrmw xchg ptr %post.word, i32 1 seq_cst
  %post.more = icmp sgt i64 %i, 1
  br i1 %post.more, label %post, label %own
own:
  call void @wake_children(i64 0)
  call void %entry(i64 0, i64 %threads, ptr %arguments)
  br label %take
take: ; the shares that nobody has started; with a barrier in the kernel there are none
  %j = phi i64 [1, %own], [%j.next, %take.step]
  %take.word = getelementptr %slot, ptr @slots, i64 %j, i32 0
  %back = cmpxchg ptr %take.word, i32 1, i32 0 seq_cst seq_cst
  %free = extractvalue {{ i32, i1 }} %back, 1
  br i1 %free, label %help, label %take.step
help: ; one who was awake and has not begun may wait for this core
  %here = call i32 @sched_getcpu()
  call void @keep_away_from(i64 %j, i32 %here)
  call void %entry(i64 %j, i64 %threads, ptr %arguments)
  %helped = atomicrmw sub ptr @pending, i32 1 seq_cst
  br label %take.step
take.step:
  %j.next = add i64 %j, 1
  %take.more = icmp slt i64 %j.next, %threads
  br i1 %take.more, label %take, label %join
join:
  %left = load atomic i32, ptr @pending seq_cst, align 4
  %finished = icmp eq i32 %left, 0
  br i1 %finished, label %leave, label %rest
rest:
  call void @await_change(ptr @pending, i32 %left, ptr @caller_asleep)
  br label %join
leave:
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret void
}}

; As @run where all workers are awake; else alone, after a call to them: the next such run may find them up.
define void @run_if_awake(ptr %entry, ptr %arguments, i64 %wanted) nounwind {{
  %workers = load atomic i32, ptr @ready seq_cst, align 4
  %workers.wide = zext i32 %workers to i64
  %most = add i64 %workers.wide, 1
  %threads = call i64 @llvm.smin.i64(i64 %wanted, i64 %most)
  br label %look
look:
  %i = phi i64 [1, %0], [%next, %step]
  %tired = phi i1 [false, %0], [%so.far, %step]
  %more = icmp slt i64 %i, %threads
  br i1 %more, label %body, label %choose
body:
  %word = getelementptr %slot, ptr @slots, i64 %i, i32 0
  %asleep = getelementptr %slot, ptr @slots, i64 %i, i32 1
  %sleeps = load atomic i32, ptr %asleep seq_cst, align 4
  %is.asleep = icmp ne i32 %sleeps, 0
  %so.far = or i1 %tired, %is.asleep
  br i1 %is.asleep, label %call, label %step
call:
  call void @wake_worker(i64 %i)
  br label %step
step:
  %next = add i64 %i, 1
  br label %look
choose:
  br i1 %tired, label %serial, label %parallel
serial:
  call void %entry(i64 0, i64 1, ptr %arguments)
  ret void
parallel:
  call void @run(ptr %entry, ptr %arguments, i64 %threads)
  ret void
}}

define void @tensorlite_barrier(i64 %threads) nounwind {{
  %alone = icmp sle i64 %threads, 1
  br i1 %alone, label %done, label %meet
meet:
  %narrow = trunc i64 %threads to i32
  %phase = load atomic i32, ptr @barrier_phase seq_cst, align 4
  %before = atomicrmw add ptr @barrier_count, i32 1 seq_cst
  %arrived = add i32 %before, 1
  %last = icmp eq i32 %arrived, %narrow
  br i1 %last, label %open, label %wait
open:
  store atomic i32 0, ptr @barrier_count seq_cst, align 4
  %ignored = atomicrmw add ptr @barrier_phase, i32 1 seq_cst
  call void @wake(ptr @barrier_phase, ptr @barrier_asleep, i32 2147483647)
  ret void
wait:
  call void @await_change(ptr @barrier_phase, i32 %phase, ptr @barrier_asleep)
  ret void
done:
  ret void
}}

define i32 @ready_workers() nounwind {{
  %number = load atomic i32, ptr @ready seq_cst, align 4
  ret i32 %number
}}

define void @set_spins(i32 %number) nounwind {{
  store atomic i32 %number, ptr @spins seq_cst, align 4
  ret void
}}

define void @pause_many(i32 %number) nounwind {{
  br label %loop
loop:
  %count = phi i32 [0, %0], [%next, %loop]
  %seen = load atomic i32, ptr @busy seq_cst, align 4
  call void {pause}({pause_argument})
  %next = add i32 %count, 1
  %more = icmp slt i32 %next, %number
  br i1 %more, label %loop, label %done
done:
  ret void
}}

; As new, for a child after a fork: its workers do not exist.
define void @reset() nounwind {{
  call void @llvm.memset.p0.i64(ptr @slots, i8 0, i64 {slot_bytes}, i1 false)
  store i32 0, ptr @busy
  store i32 0, ptr @pending
  store i32 0, ptr @caller_asleep
  store i32 0, ptr @barrier_count
  store i32 0, ptr @barrier_asleep
  store i32 0, ptr @ready
  ret void
}}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i64 @llvm.smin.i64(i64, i64)
"""

_LIMITS = """
@limit = internal global i64 0, align 128
@wanted = internal global i64 1

; How many threads a run may have; 0 until the workers are there.
define i64 @ready_threads() nounwind {
  %number = load atomic i64, ptr @limit seq_cst, align 8
  ret i64 %number
}

define i64 @wanted_threads() nounwind {
  %number = load atomic i64, ptr @wanted seq_cst, align 8
  ret i64 %number
}

define void @set_limits(i64 %number, i64 %aim) nounwind {
  store atomic i64 %number, ptr @limit seq_cst, align 8
  store atomic i64 %aim, ptr @wanted seq_cst, align 8
  ret void
}
"""

_SERIAL = """
define void @run(ptr %entry, ptr %arguments, i64 %threads) nounwind {
  call void %entry(i64 0, i64 1, ptr %arguments)
  ret void
}
define void @run_if_awake(ptr %entry, ptr %arguments, i64 %threads) nounwind {
  call void %entry(i64 0, i64 1, ptr %arguments)
  ret void
}
define void @tensorlite_barrier(i64 %threads) nounwind {
  ret void
}
"""


def has_threads() -> bool:
    """Tell whether the team can run more than one thread here: Linux on x86-64 or AArch64."""
    return sys.platform == "linux" and platform.machine() in _CALLS


def source() -> str:
    """Return the IR text for this machine; where no threads can be had, one in which every run is serial."""
    return parallel_source(platform.machine()) if has_threads() else _SERIAL + _LIMITS


def parallel_source(machine: str) -> str:
    """Return the IR text of the threaded team for ``machine``, one of ``x86_64`` and ``aarch64``."""
    pause, pause_type, pause_argument = _PAUSE[machine]
    text = _PARALLEL.format(
        **_CALLS[machine],
        pause=pause,
        pause_type=pause_type,
        pause_argument=pause_argument,
        max_threads=MAX_THREADS,
        slot_bytes=128 * MAX_THREADS,
    )
    return text + _LIMITS
