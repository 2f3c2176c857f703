;; The frame engine: one direction's rolling MAC and keystream at a time (devp2p rlpx.md §Framing, §MAC).
;;
;; build.ts replaces every name in double braces by an address from layout.ts and adds $permute and $encrypt.
;; The layout of the state is that of src/layout.ts: lanes, position, tag, round keys. Every $at is an address.

;; FIPS 197: expands the S-box into the round table, once per instance. Word x = (2s, s, s, 3s).
(func $init
  (local $x i32) (local $s i32) (local $double i32)
  (loop $entries
    (local.set $s (i32.load8_u offset={{sbox}} (local.get $x)))
    (local.set $double
      (i32.and
        (i32.xor
          (i32.shl (local.get $s) (i32.const 1))
          (i32.mul (i32.shr_u (local.get $s) (i32.const 7)) (i32.const 0x1b)))
        (i32.const 255)))
    (i32.store offset={{table}} (i32.shl (local.get $x) (i32.const 2))
      (i32.xor
        (i32.xor (local.get $double) (i32.mul (local.get $s) (i32.const 0x01010100)))
        (i32.shl (local.get $double) (i32.const 24))))
    (local.set $x (i32.add (local.get $x) (i32.const 1)))
    (br_if $entries (i32.lt_u (local.get $x) (i32.const 256)))))
(start $init)

;; FIPS 197 §5.2 SubWord.
(func $substitute (param $w i32) (result i32)
  (i32.or
    (i32.or
      (i32.load8_u offset={{sbox}} (i32.and (local.get $w) (i32.const 255)))
      (i32.shl
        (i32.load8_u offset={{sbox}} (i32.and (i32.shr_u (local.get $w) (i32.const 8)) (i32.const 255)))
        (i32.const 8)))
    (i32.or
      (i32.shl
        (i32.load8_u offset={{sbox}} (i32.and (i32.shr_u (local.get $w) (i32.const 16)) (i32.const 255)))
        (i32.const 16))
      (i32.shl
        (i32.load8_u offset={{sbox}} (i32.shr_u (local.get $w) (i32.const 24)))
        (i32.const 24)))))

;; FIPS 197 §5.2 KeyExpansion for 8-word keys; $i walks the 60 words in bytes.
(func $reset (export "reset")
  (local $i i32) (local $w i32) (local $rcon i32)
  (memory.fill (i32.const 0) (i32.const 0) (i32.const {{stateBytes}}))
  (memory.copy (i32.const {{roundKeys}}) (i32.const {{window}}) (i32.const 32))
  (local.set $rcon (i32.const 1))
  (local.set $i (i32.const 32))
  (loop $words
    (local.set $w (i32.load offset={{roundKeysBefore1}} (local.get $i)))
    (if (i32.eqz (i32.and (local.get $i) (i32.const 31)))
      (then
        (local.set $w
          (i32.xor
            (call $substitute (i32.rotr (local.get $w) (i32.const 8)))
            (local.get $rcon)))
        (local.set $rcon (i32.shl (local.get $rcon) (i32.const 1))))
      (else
        (if (i32.eq (i32.and (local.get $i) (i32.const 31)) (i32.const 16))
          (then (local.set $w (call $substitute (local.get $w)))))))
    (i32.store offset={{roundKeys}} (local.get $i)
      (i32.xor (local.get $w) (i32.load offset={{roundKeysBefore8}} (local.get $i))))
    (local.set $i (i32.add (local.get $i) (i32.const 4)))
    (br_if $words (i32.lt_u (local.get $i) (i32.const 240)))))

;; XORs bytes onto the rate part of the state and permutes whenever its 136 bytes are full.
(func $absorb (param $at i32) (param $length i32)
  (local $end i32) (local $position i32) (local $stop i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (local.set $position (i32.load (i32.const {{position}})))
  (block $done
    (loop $blocks
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      ;; $stop: where in the input this block ends.
      (local.set $stop (i32.sub (i32.add (local.get $at) (i32.const 136)) (local.get $position)))
      (if (i32.gt_u (local.get $stop) (local.get $end)) (then (local.set $stop (local.get $end))))
      (block $wordsDone
        (loop $words
          (br_if $wordsDone
            (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $stop)))
          (i64.store (local.get $position)
            (i64.xor (i64.load (local.get $position)) (i64.load (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 8)))
          (local.set $position (i32.add (local.get $position) (i32.const 8)))
          (br $words)))
      (block $bytesDone
        (loop $bytes
          (br_if $bytesDone (i32.ge_u (local.get $at) (local.get $stop)))
          (i32.store8 (local.get $position)
            (i32.xor (i32.load8_u (local.get $position)) (i32.load8_u (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $position (i32.add (local.get $position) (i32.const 1)))
          (br $bytes)))
      (if (i32.eq (local.get $position) (i32.const 136))
        (then
          (call $permute (i32.const 0) (i32.const 0))
          (local.set $position (i32.const 0))))
      (br $blocks)))
  (i32.store (i32.const {{position}}) (local.get $position)))

;; Flips the padding bits (0x01 after the last byte, 0x80 at the end of the block) in or out.
(func $flipPadding
  (local $position i32)
  (local.set $position (i32.load (i32.const {{position}})))
  (i32.store8 (local.get $position)
    (i32.xor (i32.load8_u (local.get $position)) (i32.const 0x01)))
  (i32.store8 (i32.const 135) (i32.xor (i32.load8_u (i32.const 135)) (i32.const 0x80))))

;; tag = the first 16 bytes of the digest; the state goes on as if it had not been asked.
(func $settle
  (call $flipPadding)
  (call $permute (i32.const 0) (i32.const {{digest}}))
  (call $flipPadding)
  (call $copy16 (i32.const {{tag}}) (i32.const {{digest}})))

(func $copy16 (param $to i32) (param $from i32)
  (i64.store (local.get $to) (i64.load (local.get $from)))
  (i64.store offset=8 (local.get $to) (i64.load offset=8 (local.get $from))))

(func $xor16 (param $to i32) (param $with i32)
  (i64.store (local.get $to) (i64.xor (i64.load (local.get $to)) (i64.load (local.get $with))))
  (i64.store offset=8 (local.get $to)
    (i64.xor (i64.load offset=8 (local.get $to)) (i64.load offset=8 (local.get $with)))))

;; rlpx.md §MAC: absorbs aes(mac-secret, tag) XOR seed, and settles the next tag.
(func $step (param $seed i32)
  (call $encrypt (i32.const {{tag}}) (i32.const {{mixed}}))
  (call $xor16 (i32.const {{mixed}}) (local.get $seed))
  (call $absorb (i32.const {{mixed}}) (i32.const 16))
  (call $settle))

;; The frame's own step takes the digest of all ciphertext so far as both tag and seed.
(func $stepFrame
  (call $settle)
  (call $step (i32.const {{tag}})))

(func $xorBody (param $at i32) (param $length i32) (param $keystreamAt i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $at) (local.get $length)))
  (block $done
    (loop $blocks
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      ;; Not $xor16: a call for every block costs more than the work.
      (i64.store (local.get $at)
        (i64.xor (i64.load (local.get $at)) (i64.load (local.get $keystreamAt))))
      (i64.store offset=8 (local.get $at)
        (i64.xor (i64.load offset=8 (local.get $at)) (i64.load offset=8 (local.get $keystreamAt))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (local.set $keystreamAt (i32.add (local.get $keystreamAt) (i32.const 16)))
      (br $blocks))))

;; Compares all 16 bytes before it answers.
(func $isTag (param $at i32) (result i32)
  (i64.eqz
    (i64.or
      (i64.xor (i64.load (local.get $at)) (i64.load (i32.const {{tag}})))
      (i64.xor (i64.load offset=8 (local.get $at)) (i64.load (i32.const {{tagHigh}}))))))

;; frame-size: 3 bytes, big-endian.
(func $sizeAt (param $at i32) (result i32)
  (i32.or
    (i32.shl (i32.load8_u (local.get $at)) (i32.const 16))
    (i32.or
      (i32.shl (i32.load8_u offset=1 (local.get $at)) (i32.const 8))
      (i32.load8_u offset=2 (local.get $at)))))

(func (export "absorbSeed") (param $length i32)
  (call $absorb (i32.const {{window}}) (local.get $length))
  (call $settle))

(func $sealHeader (export "sealHeader") (param $at i32) (param $keystreamAt i32)
  (call $xor16 (local.get $at) (local.get $keystreamAt))
  (call $step (local.get $at))
  (call $copy16 (i32.add (local.get $at) (i32.const 16)) (i32.const {{tag}})))

;; A piece of a frame that is encrypted, whoever did or will do that.
(func (export "absorbBody") (param $at i32) (param $length i32)
  (call $absorb (local.get $at) (local.get $length)))

(func $sealBody (export "sealBody") (param $at i32) (param $length i32) (param $keystreamAt i32)
  (call $xorBody (local.get $at) (local.get $length) (local.get $keystreamAt))
  (call $absorb (local.get $at) (local.get $length)))

(func $sealTag (export "sealTag") (param $at i32)
  (call $stepFrame)
  (call $copy16 (local.get $at) (i32.const {{tag}})))

(func (export "sealFrames") (param $end i32) (param $keystreamAt i32)
  (local $at i32) (local $length i32)
  (local.set $at (i32.const {{window}}))
  (local.set $end (i32.add (local.get $at) (local.get $end)))
  (block $done
    (loop $frames
      (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
      (local.set $length
        (i32.and (i32.add (call $sizeAt (local.get $at)) (i32.const 15)) (i32.const -16)))
      (call $sealHeader (local.get $at) (local.get $keystreamAt))
      (local.set $at (i32.add (local.get $at) (i32.const 32)))
      (local.set $keystreamAt (i32.add (local.get $keystreamAt) (i32.const 16)))
      (call $sealBody (local.get $at) (local.get $length) (local.get $keystreamAt))
      (local.set $at (i32.add (local.get $at) (local.get $length)))
      (local.set $keystreamAt (i32.add (local.get $keystreamAt) (local.get $length)))
      (call $sealTag (local.get $at))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br $frames))))

(func (export "openHeader") (param $at i32) (param $keystreamAt i32) (result i32)
  (call $step (local.get $at))
  (if (i32.eqz (call $isTag (i32.add (local.get $at) (i32.const 16))))
    (then (return (i32.const -1))))
  (call $xor16 (local.get $at) (local.get $keystreamAt))
  (call $sizeAt (local.get $at)))

(func (export "openBody") (param $at i32) (param $length i32) (param $keystreamAt i32)
  (call $absorb (local.get $at) (local.get $length))
  (call $xorBody (local.get $at) (local.get $length) (local.get $keystreamAt)))

(func (export "openTag") (param $at i32) (result i32)
  (call $stepFrame)
  (call $isTag (local.get $at)))
