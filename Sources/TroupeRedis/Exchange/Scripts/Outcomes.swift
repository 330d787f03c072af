/// What became of calls, and who wants to know.
enum Outcomes {
    static let source = #"""
        local function outcomeKey(id) return base .. ':outcome:' .. id end

        -- The site whose call it is, by the prefix that its endpoint has put there.
        local function siteOf(id) return string.match(id, '^([^!]*)!') or '' end

        -- It is an array, whose head is one byte: behind that its elements are read without making the array.
        local function outcomeOf(packed)
          local _, fingerprint, target, sequence, watchers, status, payload, expiresAt, size, kind, refs, owed =
            cmsgpack.unpack_limit(packed, 11, 1)
          return {
            fingerprint = fingerprint, target = target, sequence = sequence, watchers = watchers, status = status,
            payload = payload, expiresAt = expiresAt, size = size, kind = kind, refs = refs, owed = owed,
          }
        end

        local function readOutcome(id)
          local packed = call('GET', outcomeKey(id))
          return packed and outcomeOf(packed)
        end

        -- A pending outcome has no status, and no expiry: it goes with its envelope, of which it says what the end of a
        -- turn has to know.
        local function packPending(entry)
          return cmsgpack.pack({ entry.fingerprint, entry.target, entry.sequence, entry.watchers, false, false, false,
            entry.size or false, entry.kind or false, entry.refs or false, entry.owed })
        end

        local function savePending(id, entry) call('SET', outcomeKey(id), packPending(entry)) end

        local function pendingOf(header, sequence)
          return { fingerprint = header.print or '0', target = header.to, sequence = sequence,
            watchers = { header.reply }, size = header.size, kind = header.kind, refs = header.refs,
            owed = header.owed }
        end

        local function isOver(entry) return entry.expiresAt and entry.expiresAt <= now end

        -- An outcome is not kept for another site any more; its record is about to go or to change. A final one is in the
        -- index: by its source, with its number there, and by the time when it goes.
        local function disown(id, entry)
          if not entry.owed or call('ZREM', base .. ':owed:' .. text(entry.owed[1]), id) == 0 then return end
          call('ZREM', base .. ':due:owed', id)
          local site = siteOf(id)
          call('HINCRBY', base .. ':owed:size', site, 0 - #entry.payload)
          if call('HINCRBY', base .. ':owed:count', site, -1) == 0 then
            call('HDEL', base .. ':owed:count', site)
            call('HDEL', base .. ':owed:size', site)
          end
          unpin(entry.refs)
        end

        -- The outcome of an id, unless its retention is over.
        local function liveOutcome(id)
          local entry = readOutcome(id)
          if entry and isOver(entry) then
            disown(id, entry)
            call('DEL', outcomeKey(id))
            return nil
          end
          return entry
        end

        -- Notes a pending outcome under an id that is new; else gives what is known of it.
        local function notePending(id, packed)
          local key = outcomeKey(id)
          local old = call('SET', key, packed, 'NX', 'GET')
          local entry = old and outcomeOf(old)
          if entry and not isOver(entry) then return entry end
          if entry then
            disown(id, entry)
            call('SET', key, packed)
          end
          return nil
        end

        -- Beyond the bound the oldest watcher goes, and asks by id.
        local function watch(id, entry, client)
          for _, watcher in ipairs(entry.watchers) do
            if watcher == client then return end
          end
          table.insert(entry.watchers, client)
          if #entry.watchers > limits.watchersMax then table.remove(entry.watchers, 1) end
          savePending(id, entry)
        end

        -- The same for all that end at a time.
        local expiry, expiryText

        local function completionOf(id, entry)
          if entry.expiresAt ~= expiry then expiry, expiryText = entry.expiresAt, text(entry.expiresAt) end
          return string.format('%s.%d %s', expiryText, entry.sequence, id)
        end

        local function forgetOldestOutcome()
          local oldest = call('LPOP', base .. ':completed')
          local id = string.match(oldest, '^%-?%d+%.%d+ (.*)$')
          local entry = readOutcome(id)
          if entry and entry.status and completionOf(id, entry) == oldest then call('DEL', outcomeKey(id)) end
        end

        -- Keeps a final outcome for the site that waits for it, if one does and the site's bounds allow it. It does not
        -- expire by itself, because of what it refers to.
        local function owe(id, entry, refs)
          local size, site = #entry.payload, siteOf(id)
          local count = tonumber(call('HGET', base .. ':owed:count', site) or 0)
          local total = tonumber(call('HGET', base .. ':owed:size', site) or 0)
          if count >= limits.owedCountMax or total + size > limits.owedSizeBytesMax then return false end
          pin(refs)
          local expiresAt = now + limits.owedRetention
          call('SET', outcomeKey(id), cmsgpack.pack({ entry.fingerprint, entry.target, entry.sequence, {}, entry.status,
            entry.payload, expiresAt, false, false, refs or false, entry.owed }))
          call('ZADD', base .. ':owed:' .. text(entry.owed[1]), text(entry.owed[2]), id)
          call('ZADD', base .. ':due:owed', expiresAt, id)
          call('HINCRBY', base .. ':owed:count', site, 1)
          call('HINCRBY', base .. ':owed:size', site, size)
          return true
        end

        -- Keeps a final outcome for its time, and forgets the oldest beyond the bound.
        local function complete(id, entry)
          entry.expiresAt = now + limits.outcomeRetention
          local record = { entry.fingerprint, entry.target, entry.sequence, {}, entry.status, entry.payload,
            entry.expiresAt }
          call('SET', outcomeKey(id), cmsgpack.pack(record), 'PX', limits.outcomeKeyRetention)
          completed[#completed + 1] = completionOf(id, entry)
        end

        -- An outcome has reached the site that waited for it, which is where that source is.
        local function letGo(id, source)
          local entry = liveOutcome(id)
          if not entry or not entry.status or not entry.owed or entry.owed[1] ~= source then return end
          -- The other site has yet to say what it goes on using.
          extendHolds(entry.refs, now + limits.outcomeRetention)
          disown(id, entry)
          complete(id, entry)
        end

        -- Makes a pending outcome final, and tells its watchers; `refs` are the objects of its result.
        local function finish(id, status, payload, outcome, refs)
          local entry = outcome or readOutcome(id)
          if not entry or entry.status then return end
          payload = payload or ''
          for _, watcher in ipairs(entry.watchers) do
            post(watcher, 'outcome', id, 'status', status, 'payload', payload)
          end
          entry.status, entry.payload = status, payload
          if not (entry.owed and owe(id, entry, refs)) then complete(id, entry) end
        end

        function saveCompletions()
          local count = callForAll('RPUSH', base .. ':completed', completed)
          for _ = limits.outcomesMax + 1, count do forgetOldestOutcome() end
        end

        """#
}
