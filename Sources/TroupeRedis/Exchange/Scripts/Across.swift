/// Messages between shards, and objects that several shards may refer to.
enum Across {
    /// The outbox: a stream for each target, an index of targets for each shard, and what waits for it in two hashes.
    static let outbox = #"""
        local function outboxKey(key) return base .. ':outbox:' .. key end

        local function outboxHasRoom(key, count, away, demand)
          local waiting = call('XLEN', outboxKey(key))
          local total = tonumber(call('HGET', base .. ':away:count', away) or 0)
          local size = tonumber(call('HGET', base .. ':away:size', away) or 0)
          return waiting + count <= limits.outboxActorCountMax and total + demand.count <= limits.outboxCountMax
            and size + demand.size <= limits.outboxSizeBytesMax
        end

        -- By the clock, so that none is used again even if the last ones were lost.
        local function nextOutboxNumber()
          local last = tonumber(call('HGET', base .. ':meta', 'outbox') or 0)
          local number = math.max(last + 1, now * 1024)
          call('HSET', base .. ':meta', 'outbox', text(number))
          return number
        end

        -- Keeps a message until it has been brought to its target's shard.
        local function putOut(packed, header, body, sender, isRequeued)
          local key, away = keyOf(header.to), header.away
          call('XADD', outboxKey(key), text(nextOutboxNumber()) .. '-0', 'h', packed, 'b', body, 's', sender,
            'r', isRequeued and 1 or 0)
          call('ZADD', base .. ':away:targets:' .. away, 0, key)
          call('HINCRBY', base .. ':away:count', away, 1)
          call('HINCRBY', base .. ':away:size', away, header.size)
          pin(header.refs)
        end

        """#

    static let operations = #"""
        local operations = {}

        -- MARK: At the sender's shard

        local function outgoingOf(item)
          return {
            number = tonumber(string.match(item[1], '^%d+')), packed = item[2][2], header = cmsgpack.unpack(item[2][2]),
            body = item[2][4], sender = item[2][6], requeued = tonumber(item[2][8]),
          }
        end

        -- The oldest of each target, target by target, up to the bounds of a page.
        function operations.outbox()
          local first, limit = request.start and '(' .. request.start or '-', request.limit
          local targets = base .. ':away:targets:' .. request.to
          local rows, size, keys = {}, 0, nil
          if request.only then
            keys = call('ZSCORE', targets, request.only) and { request.only } or {}
          else
            keys = call('ZRANGEBYLEX', targets, first, '+', 'LIMIT', 0, limit + 1)
          end
          for _, key in ipairs(keys) do
            if #rows == limit then return { rows, 1 } end
            for _, item in ipairs(call('XRANGE', outboxKey(key), '-', '+', 'COUNT', limit - #rows)) do
              local entry = outgoingOf(item)
              if #rows > 0 and size + entry.header.size > request.size then return { rows, 1 } end
              size = size + entry.header.size
              table.insert(rows, { entry.number, entry.requeued, entry.header.cleared or 0, entry.body })
            end
          end
          return { rows, 0 }
        end

        local function takeOut(key, number)
          local id = text(number) .. '-0'
          local item = call('XRANGE', outboxKey(key), id, id)[1]
          if not item then return nil end
          local entry = outgoingOf(item)
          local away = entry.header.away
          call('XDEL', outboxKey(key), id)
          if call('XLEN', outboxKey(key)) == 0 then
            call('DEL', outboxKey(key))
            call('ZREM', base .. ':away:targets:' .. away, key)
          end
          call('HINCRBY', base .. ':away:size', away, -entry.header.size)
          if call('HINCRBY', base .. ':away:count', away, -1) == 0 then
            call('HDEL', base .. ':away:count', away)
            call('HDEL', base .. ':away:size', away)
          end
          return entry
        end

        function operations.settleOutbox()
          for _, settled in ipairs(request.settled) do
            local entry = takeOut(settled.key, settled.number)
            local sender = entry and settled.refusal and loadActor(entry.sender)
            if sender then
              local sequence = sender.live.last + 1
              sender.live.last = sequence
              -- The dead letter takes over the pins.
              addDeadLetter(sender, sequence, 0, blob(settled.refusal), entry.packed, entry.body)
            elseif entry then
              unpin(entry.header.refs)
            end
          end
          return 1
        end

        -- MARK: At the target's shard

        local function remember(actor, number)
          actor.live.got = actor.live.got or {}
          actor.live.got['s' .. request.from] = number
          actor.isChanged = true
        end

        -- Whether the actor leaves, or has left, for the site whose record forwards what it is sent there.
        local function isReturning(actor, site)
          local move = actor.live.move
          return site and move and move.site == site and move.phase ~= 'refused'
        end

        -- Decides the call, so that a second bearer of the same message finds it decided.
        local function refuse(header, reason)
          if not liveOutcome(header.id) then
            savePending(header.id, {
              fingerprint = header.print or '0', target = header.to, sequence = 0, watchers = { header.reply },
            })
            finish(header.id, 'deadLettered', reason)
          end
          return { 'refused', reason }
        end

        local function take(entry, header, key)
          local actor = loadActor(key)
          if actor and entry.number <= (actor.live.got and actor.live.got['s' .. request.from] or 0) then
            return { 'delivered' }
          end
          local known = liveOutcome(header.id)
          if known and (not entry.requeued or not known.status) then
            if known.status == 'deadLettered' then return { 'refused', known.payload } end
            if actor then remember(actor, entry.number) end
            return { 'delivered' }
          end
          if not actor then return refuse(header, 'there is no actor ' .. key) end
          if header.size > limits.envelopeSizeBytesMax then
            return refuse(header, 'the envelope is larger than ' .. limits.envelopeSizeBytesMax .. ' bytes')
          end
          if isReturning(actor, entry.former) or not hasRoom(actor, 1, header.size, 2) then return { 'full' } end
          remember(actor, entry.number)
          if entry.former and arrivalFrom(actor, entry.former) then
            actor.live.forwarders = actor.live.forwarders or {}
            actor.live.forwarders[entry.former] = request.from
          end
          if known then disown(header.id, known) end
          header.owed = entry.wanted and { request.from, entry.number } or nil
          enqueue(blob(entry.first), header, blob(entry.first + 1), actor)
          return { 'delivered' }
        end

        -- Takes messages of another shard, each once: an actor remembers the last number of each shard, and the ledger
        -- knows the calls of those that are gone.
        function operations.forward()
          local full, answers = {}, {}
          for index, entry in ipairs(request.entries) do
            local header = cmsgpack.unpack(blob(entry.first))
            local key = keyOf(header.to)
            local answer = full[key] or take(entry, header, key)
            if answer[1] == 'full' then full[key] = answer end
            answers[index] = answer
          end
          return answers
        end

        -- Outcomes have reached the site that waited for them.
        function operations.brought()
          local passed = call('ZRANGEBYSCORE', base .. ':owed:' .. text(request.from), '-inf', '(' .. text(request.below),
            'LIMIT', 0, limits.broughtMax)
          for _, id in ipairs(request.ids) do letGo(id, request.from) end
          for _, id in ipairs(passed) do letGo(id, request.from) end
          return #passed
        end

        -- MARK: Objects

        -- Marks what is not in use here, also what is not known; the mark lasts until something refers to the object.
        function operations.condemn()
          local inUse = {}
          for _, id in ipairs(request.ids) do
            if call('HEXISTS', base .. ':objects', id) == 1 then
              table.insert(inUse, id)
            else
              call('ZADD', base .. ':garbage', request.mark, id)
            end
          end
          return inUse
        end

        local function isCondemned(id)
          return tonumber(call('ZSCORE', base .. ':garbage', id) or 0) == request.mark
        end

        function operations.condemned()
          local ids = {}
          for _, id in ipairs(request.ids) do
            if isCondemned(id) then table.insert(ids, id) end
          end
          return ids
        end

        function operations.keep()
          local kept = {}
          for _, id in ipairs(request.ids) do
            if request.duration <= 0 then
              endKeep(id, request.holder)
            elseif keep(id, request.holder, now + request.duration) then
              table.insert(kept, id)
            end
          end
          return kept
        end

        function operations.acquit()
          for _, id in ipairs(request.ids) do
            if isCondemned(id) then
              call('ZREM', base .. ':garbage', id)
              if request.recheck > 0 then hold(id, now + request.recheck) end
            end
          end
          return 1
        end

        function serve.across() return operations[request.operation]() end
        """#
}
