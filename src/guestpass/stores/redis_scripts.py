"""What the Redis store has the server do: each change and each look-up is one Lua script, so that it is atomic.

Knows the names of the keys and what is in them, and decides nothing that the contract does not say. `KEYS[1]` is the
prefix; every key that a script touches begins with it, and its braces are a hash tag, which keeps all of them in one
slot. Numbers are compared as numbers and kept as the text in which they came, so that each comes back exactly.

| key, after the prefix | type | what it holds |
|---|---|---|
| ``version`` | string | of this layout; there whenever a list of cut-offs ought to be |
| ``key:<id>`` | hash | an API key |
| ``key-secret:<digest>`` | string | the id of the key with this digest, newest or old |
| ``keys``, ``keys-of:<platform>`` | sorted set | ids of keys by creation |
| ``session:<digest>`` | string | expiry, revocation and the rest of a session, by lines |
| ``session-id:<id>`` | string | the digest of the session with this id |
| ``sessions-ending`` | sorted set | ids of sessions by their end |
| ``asked:<minted_by>:<key>`` | string | a request that may come again: end, body's digest, session |
| ``asked-ending`` | sorted set | those by their end |
| ``cutoffs`` | hash | the epoch, the position, and each cut-off under ``=<name>`` |
| ``cutoffs-order``, ``cutoffs-ending`` | sorted set | names of cut-offs by position, and by their end |
| ``signing-keys``, ``signing-kids`` | hash | signing keys by mode and serial; which kid is where |
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

VERSION: Final = 1
"""Of the layout above. Counts up with every change to it."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name by which a server that has seen it knows it.

    Beside what `body` returns it answers `KEYS[2]`, which nobody looks up: so an answer says which request it is for.
    """

    body: str
    source: str = field(init=False)
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        source = f"local function answer()\n{self.body}\nend\nreturn {{KEYS[2], answer()}}"
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "sha", hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest())


_NUMBERS: Final = """
local P = KEYS[1]
local function number(text)
  if text == 'inf' then return math.huge end
  if text == '-inf' then return -math.huge end
  return tonumber(text)
end
local function now_ms()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end
"""

# The epoch stands in the same key as the cut-offs, so that neither can go without the other. What is left of a list
# that lost a part is kept. That it was lost is known by `version`, or by what is left.
_CUTOFFS: Final = (
    _NUMBERS
    + f"local VERSION = {VERSION}"
    + """
local LIST, ORDER, ENDING = P .. 'cutoffs', P .. 'cutoffs-order', P .. 'cutoffs-ending'
local function read_epoch()
  return redis.call('HMGET', LIST, 'epoch', 'started_ms', 'after_loss', 'position')
end
local function begin_epoch(fresh, after_loss)
  redis.call('HSET', LIST, 'epoch', fresh, 'started_ms', now_ms(), 'after_loss', after_loss)
end
local function epoch(fresh)
  local found = read_epoch()
  if found[1] and found[4] and redis.call('HLEN', LIST) == redis.call('ZCARD', ORDER) + 4 then return found end
  local had = redis.call('EXISTS', P .. 'version', LIST, ORDER, ENDING)
  redis.call('DEL', ORDER, ENDING)
  redis.call('HSETNX', LIST, 'position', 0)
  local left = redis.call('HGETALL', LIST)
  for i = 1, #left, 2 do
    if string.sub(left[i], 1, 1) == '=' then
      local name, ends = string.sub(left[i], 2), string.match(left[i + 1], '%S+$')
      redis.call('ZADD', ORDER, redis.call('HINCRBY', LIST, 'position', 1), name)
      if ends ~= 'inf' then redis.call('ZADD', ENDING, ends, name) end
    end
  end
  begin_epoch(fresh, had > 0 and '1' or '0')
  redis.call('SETNX', P .. 'version', VERSION)
  return read_epoch()
end
local function put(fresh, name, at_ms, ends)
  epoch(fresh)
  local old = redis.call('HGET', LIST, '=' .. name)
  if old then
    local old_ms, old_ends = string.match(old, '^(%S+) (%S+)$')
    if number(old_ms) > number(at_ms) then at_ms = old_ms end
    if number(old_ends) > number(ends) then ends = old_ends end
  end
  redis.call('HSET', LIST, '=' .. name, at_ms .. ' ' .. ends)
  redis.call('ZADD', ORDER, redis.call('HINCRBY', LIST, 'position', 1), name)
  if ends == 'inf' then redis.call('ZREM', ENDING, name) else redis.call('ZADD', ENDING, ends, name) end
  return {at_ms, ends}
end
local function finish(fresh, name, at_ms, ends)
  return put(fresh, name, at_ms == '' and now_ms() or at_ms, ends)
end
"""
)

# fresh epoch
OPEN: Final = Script(
    _CUTOFFS
    + """
local version = redis.call('GET', P .. 'version')
if version and version ~= tostring(VERSION) then return version end
epoch(ARGV[1])
redis.call('SET', P .. 'version', VERSION)
return redis.call('GET', P .. 'version')
"""
)

# id, digest, old digest or '', platform, created_at, then fields and values
ADD_KEY: Final = Script(
    """
local P, id, digest, old = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local key = P .. 'key:' .. id
if redis.call('EXISTS', key, P .. 'key-secret:' .. digest) > 0 then return 'taken' end
if old ~= '' and redis.call('EXISTS', P .. 'key-secret:' .. old) > 0 then return 'taken' end
for i = 6, #ARGV, 2 do redis.call('HSET', key, ARGV[i], ARGV[i + 1]) end
redis.call('SET', P .. 'key-secret:' .. digest, id)
if old ~= '' then redis.call('SET', P .. 'key-secret:' .. old, id) end
redis.call('ZADD', P .. 'keys', ARGV[5], id)
redis.call('ZADD', P .. 'keys-of:' .. ARGV[4], ARGV[5], id)
return 'kept'
"""
)

# digest
FIND_KEY: Final = Script(
    """
local id = redis.call('GET', KEYS[1] .. 'key-secret:' .. ARGV[1])
return id and redis.call('HGETALL', KEYS[1] .. 'key:' .. id)
"""
)

# id
FIND_MINTER: Final = Script(
    _NUMBERS
    + """
return {now_ms(), redis.call('HGETALL', P .. 'key:' .. ARGV[1])}
"""
)

# platform's set of ids, by its name
LIST_KEY_IDS: Final = Script("return redis.call('ZRANGE', KEYS[1] .. ARGV[1], 0, -1)")

# ids
READ_KEYS: Final = Script(
    """
local keys = {}
for i = 1, #ARGV do keys[i] = redis.call('HGETALL', KEYS[1] .. 'key:' .. ARGV[i]) end
return keys
"""
)

# id, expected grant or '', grant or '', platform, revoked_at or '', fresh epoch, cut-off's name, at_ms or '', end
CHANGE_KEY: Final = Script(
    _CUTOFFS
    + """
local id, expected, grant, platform, revoked_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local key = P .. 'key:' .. id
if redis.call('EXISTS', key) == 0 then return false end
if expected ~= '' and redis.call('HGET', key, 'grant') ~= expected then return redis.call('HGETALL', key) end
if grant ~= '' then
  local old = redis.call('HMGET', key, 'platform', 'created_at')
  if old[1] ~= platform then
    redis.call('ZREM', P .. 'keys-of:' .. old[1], id)
    redis.call('ZADD', P .. 'keys-of:' .. platform, old[2], id)
  end
  redis.call('HSET', key, 'grant', grant, 'platform', platform)
end
if revoked_at ~= '' then redis.call('HSETNX', key, 'revoked_at', revoked_at) end
finish(ARGV[6], ARGV[7], ARGV[8], ARGV[9])
return redis.call('HGETALL', key)
"""
)

# id, digest, old_until, fresh epoch, and where something ends: the cut-off's name, at_ms or '', end
ROTATE_KEY: Final = Script(
    _CUTOFFS
    + """
local id, digest = ARGV[1], ARGV[2]
local key = P .. 'key:' .. id
if redis.call('EXISTS', key) == 0 then return false end
if redis.call('EXISTS', P .. 'key-secret:' .. digest) > 0 then return 'taken' end
local had = redis.call('HMGET', key, 'digest', 'old_digest')
if had[2] then redis.call('DEL', P .. 'key-secret:' .. had[2]) end
redis.call('HSET', key, 'digest', digest, 'old_digest', had[1], 'old_until', ARGV[3])
redis.call('SET', P .. 'key-secret:' .. digest, id)
if #ARGV > 4 then finish(ARGV[4], ARGV[5], ARGV[6], ARGV[7]) end
return redis.call('HGETALL', key)
"""
)

# ids and instants
NOTE_USES: Final = Script(
    _NUMBERS
    + """
for i = 1, #ARGV, 2 do
  local key = P .. 'key:' .. ARGV[i]
  if redis.call('EXISTS', key) > 0 then
    local used = redis.call('HGET', key, 'last_used_at')
    if not used or number(used) < number(ARGV[i + 1]) then redis.call('HSET', key, 'last_used_at', ARGV[i + 1]) end
  end
end
return 'kept'
"""
)

# id, digest, session, ended_at, milliseconds to live or '', minted_ms, fresh epoch, and with a request that may come
# again: its name, body's digest, end, milliseconds to live or '', what the names of cut-offs of sessions begin with
ADD_SESSION: Final = Script(
    _CUTOFFS
    + """
local id, digest, session, ended_at, life, minted_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local name, body, ends = ARGV[8], ARGV[9], ARGV[10]
local function set(key, value, milliseconds)
  if milliseconds == '' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PX', milliseconds) end
end
local earlier = name and redis.call('GET', P .. 'asked:' .. name)
if earlier then
  local remembered, asked, made = string.match(earlier, '^(%S+) (%x*) (.*)$')
  if number(minted_ms) < number(remembered) * 1000 then
    if asked ~= body then return 'conflict' end
    local old = redis.call('GET', P .. 'session-id:' .. made)
    local kept = old and redis.call('GET', P .. 'session:' .. old)
    if kept then
      if old ~= digest then
        if redis.call('EXISTS', P .. 'session:' .. digest) > 0 then return 'taken' end
        redis.call('RENAME', P .. 'session:' .. old, P .. 'session:' .. digest)
        redis.call('SET', P .. 'session-id:' .. made, digest, 'KEEPTTL')
      end
      put(ARGV[7], ARGV[12] .. made, '0', string.match(kept, '^%S+'))
      return {digest, kept}
    end
  end
end
if redis.call('EXISTS', P .. 'session-id:' .. id, P .. 'session:' .. digest) > 0 then return 'taken' end
set(P .. 'session:' .. digest, session, life)
set(P .. 'session-id:' .. id, digest, life)
if ended_at ~= 'inf' then redis.call('ZADD', P .. 'sessions-ending', ended_at, id) end
if name then
  set(P .. 'asked:' .. name, ends .. ' ' .. body .. ' ' .. id, ARGV[11])
  if ends == 'inf' then
    redis.call('ZREM', P .. 'asked-ending', name)
  else
    redis.call('ZADD', P .. 'asked-ending', ends, name)
  end
end
return 'kept'
"""
)

# digest
FIND_SESSION: Final = Script("return redis.call('GET', KEYS[1] .. 'session:' .. ARGV[1])")

# id
FIND_SESSION_BY_ID: Final = Script(
    """
local digest = redis.call('GET', KEYS[1] .. 'session-id:' .. ARGV[1])
local session = digest and redis.call('GET', KEYS[1] .. 'session:' .. digest)
return session and {digest, session}
"""
)

# id, revoked_at, fresh epoch, the cut-off's name and at_ms
REVOKE_SESSION: Final = Script(
    _CUTOFFS
    + """
local id, at = ARGV[1], ARGV[2]
local digest = redis.call('GET', P .. 'session-id:' .. id)
local session = digest and redis.call('GET', P .. 'session:' .. digest)
if not session then return false end
local ends, revoked_at, rest = string.match(session, '^(%S+)\\n(%S*)\\n(.*)$')
if revoked_at == '' then
  session = ends .. '\\n' .. at .. '\\n' .. rest
  redis.call('SET', P .. 'session:' .. digest, session, 'KEEPTTL')
  if number(at) < number(ends) then redis.call('ZADD', P .. 'sessions-ending', at, id) end
end
put(ARGV[3], ARGV[4], ARGV[5], ends)
return {digest, session}
"""
)

# fresh epoch, names
FIND_CUTOFF: Final = Script(
    _CUTOFFS
    + """
local found = epoch(ARGV[1])
local latest = false
for i = 2, #ARGV do
  local cutoff = redis.call('HGET', LIST, '=' .. ARGV[i])
  local at_ms = cutoff and string.match(cutoff, '^%S+')
  if at_ms and (not latest or number(at_ms) > number(latest)) then latest = at_ms end
end
return {found[1], found[2], found[3], latest}
"""
)

# fresh epoch, name, at_ms or '', end
ADD_CUTOFF: Final = Script(_CUTOFFS + "return finish(ARGV[1], ARGV[2], ARGV[3], ARGV[4])")

# fresh epoch, position, limit. One more than the limit tells whether there are more.
READ_CUTOFFS: Final = Script(
    _CUTOFFS
    + """
local found, limit, reached = epoch(ARGV[1]), tonumber(ARGV[3]), ARGV[2]
local places = redis.call('ZRANGEBYSCORE', ORDER, '(' .. reached, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
local page, more = {found[1], found[2], found[3], found[4], ''}, #places > 2 * limit
for i = 1, math.min(#places, 2 * limit), 2 do
  page[#page + 1] = places[i]
  page[#page + 1] = redis.call('HGET', LIST, '=' .. places[i])
  reached = places[i + 1]
end
page[5] = more and reached or found[4]
return page
"""
)

# fresh epoch, known epoch
BEGIN_EPOCH: Final = Script(
    _CUTOFFS
    + """
if epoch(ARGV[1])[1] == ARGV[2] then begin_epoch(ARGV[1], '1') end
return read_epoch()
"""
)

# place (mode and serial), kid, key
ADD_SIGNING_KEY: Final = Script(
    """
local keys, kids = KEYS[1] .. 'signing-keys', KEYS[1] .. 'signing-kids'
if redis.call('HEXISTS', keys, ARGV[1]) == 1 then return 'serial taken' end
if redis.call('HEXISTS', kids, ARGV[2]) == 1 then return 'taken' end
redis.call('HSET', kids, ARGV[2], ARGV[1])
redis.call('HSET', keys, ARGV[1], ARGV[3])
return 'kept'
"""
)

LIST_SIGNING_KEYS: Final = Script("return redis.call('HVALS', KEYS[1] .. 'signing-keys')")

# now, ended before, limit
PURGE: Final = Script(
    """
local P, gone = KEYS[1], 0
local function ended(name, before)
  return redis.call('ZRANGEBYSCORE', P .. name, '-inf', '(' .. before, 'LIMIT', 0, ARGV[3])
end
for _, id in ipairs(ended('sessions-ending', ARGV[2])) do
  local digest = redis.call('GET', P .. 'session-id:' .. id)
  if digest then redis.call('DEL', P .. 'session:' .. digest, P .. 'session-id:' .. id) end
  redis.call('ZREM', P .. 'sessions-ending', id)
  gone = gone + 1
end
for _, name in ipairs(ended('asked-ending', ARGV[1])) do
  redis.call('DEL', P .. 'asked:' .. name)
  redis.call('ZREM', P .. 'asked-ending', name)
  gone = gone + 1
end
for _, name in ipairs(ended('cutoffs-ending', ARGV[1])) do
  redis.call('HDEL', P .. 'cutoffs', '=' .. name)
  redis.call('ZREM', P .. 'cutoffs-order', name)
  redis.call('ZREM', P .. 'cutoffs-ending', name)
  gone = gone + 1
end
return gone
"""
)
